//! The paths of Log Analytics data export.
//!
//! ```text
//! am-<table>/WorkspaceResourceId=/subscriptions/<id>/resourcegroups/<group>/providers/
//!   microsoft.operationalinsights/workspaces/<workspace>/y=YYYY/m=MM/d=DD/h=HH/m=MM/PT05M.json
//! ```
//! `m=` stands twice: month, then minute. Upper and lower case vary, the file is `PT05M`, `PT5M` or `PT1H`, and what
//! overflows goes to `PT05M_1.json` and on. The container (`am-<table>`) is lower case, so the table's name is too.
//! The folder is the time the records were generated: late records reopen a closed folder.

use jiff::ToSpan;

use super::layout::{Period, Seen, moment};

/// What a path of a data export says; `None` if it is none.
pub(super) fn read(path: &str) -> Option<Seen> {
    let segments: Vec<&str> = path.split('/').collect();
    let [
        container,
        resource,
        subscriptions,
        _,
        groups,
        _,
        providers,
        provider,
        workspaces,
        _,
        year,
        month,
        day,
        hour,
        minute,
        file,
    ] = segments[..]
    else {
        return None;
    };
    let fixed = [
        (resource, "WorkspaceResourceId="),
        (subscriptions, "subscriptions"),
        (groups, "resourcegroups"),
        (providers, "providers"),
        (provider, "microsoft.operationalinsights"),
        (workspaces, "workspaces"),
    ];
    if fixed.iter().any(|(found, wanted)| !found.eq_ignore_ascii_case(wanted)) {
        return None;
    }
    let table = strip_prefix(container, "am-").filter(|table| !table.is_empty())?;
    let start = moment(
        number(year, "y=", 4)?,
        number(month, "m=", 2)?,
        number(day, "d=", 2)?,
        number(hour, "h=", 2)?,
        number(minute, "m=", 2)?,
    )
    .ok()?;
    let length = match span_of(file)? {
        "PT1H" if start.minute() == 0 => 1.hour(),
        "PT05M" | "PT5M" => 5.minutes(),
        _ => return None,
    };
    Some(Seen { table: table.to_owned(), period: Some(Period::from(start, length).ok()?) })
}

/// `PT05M` of `PT05M.json` and `PT05M_1.json`, in upper case.
fn span_of(file: &str) -> Option<&'static str> {
    let stem = file.len().checked_sub(5).and_then(|at| file.split_at_checked(at));
    let (stem, _) = stem.filter(|(_, extension)| extension.eq_ignore_ascii_case(".json"))?;
    let span = match stem.split_once('_') {
        Some((span, overflow)) if !overflow.is_empty() && overflow.bytes().all(|byte| byte.is_ascii_digit()) => span,
        Some(_) => return None,
        None => stem,
    };
    ["PT05M", "PT5M", "PT1H"].into_iter().find(|known| known.eq_ignore_ascii_case(span))
}

/// The number behind `key`, of four digits or up to `most_digits`.
pub(super) fn number(segment: &str, key: &str, most_digits: usize) -> Option<u16> {
    let digits = strip_prefix(segment, key)?;
    let fits = if most_digits == 4 { digits.len() == 4 } else { (1..=most_digits).contains(&digits.len()) };
    (fits && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// What stands behind a prefix, whose case does not matter.
pub(super) fn strip_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "WorkspaceResourceId=/subscriptions/00000000-1111-2222-3333-444444444444/resourcegroups/\
                             rg-logs/providers/microsoft.operationalinsights/workspaces/central";

    fn period(path: &str) -> Option<String> {
        let seen = read(path)?;
        let period = seen.period?;
        Some(format!("{} {}/{}", seen.table, period.start, period.end))
    }

    #[test]
    fn reads_every_documented_form() {
        let five = Some("securityevent 2024-02-29T23:55:00Z/2024-03-01T00:00:00Z".to_owned());
        for file in ["PT05M.json", "PT5M.json", "pt05m.json", "PT05M_1.json", "PT05M_12.JSON"] {
            assert_eq!(period(&format!("am-securityevent/{WORKSPACE}/y=2024/m=02/d=29/h=23/m=55/{file}")), five);
        }
        assert_eq!(
            period(&format!("am-securityevent/{WORKSPACE}/y=2024/m=02/d=29/h=23/m=00/PT1H.json")),
            Some("securityevent 2024-02-29T23:00:00Z/2024-03-01T00:00:00Z".to_owned())
        );
        let upper = format!("AM-securityevent/{}/Y=2024/M=2/D=29/H=23/M=55/PT05M.json", WORKSPACE.to_uppercase());
        assert_eq!(period(&upper), five);
    }

    #[test]
    fn anything_else_is_a_stranger() {
        for path in [
            format!("am-/{WORKSPACE}/y=2024/m=02/d=29/h=23/m=55/PT05M.json"),
            format!("securityevent/{WORKSPACE}/y=2024/m=02/d=29/h=23/m=55/PT05M.json"),
            format!("am-securityevent/{WORKSPACE}/y=2023/m=02/d=29/h=23/m=55/PT05M.json"),
            format!("am-securityevent/{WORKSPACE}/y=2024/m=13/d=01/h=23/m=55/PT05M.json"),
            format!("am-securityevent/{WORKSPACE}/y=2024/m=02/d=29/h=24/m=00/PT05M.json"),
            format!("am-securityevent/{WORKSPACE}/y=2024/m=02/d=29/h=23/m=55/PT05M_.json"),
            format!("am-securityevent/{WORKSPACE}/y=2024/m=02/d=29/h=23/m=55/PT05M_a.json"),
            format!("am-securityevent/{WORKSPACE}/y=2024/m=02/d=29/h=23/m=55/PT1H.json"),
            format!("am-securityevent/{WORKSPACE}/y=2024/m=02/d=29/h=23/m=55/a/PT05M.json"),
            format!("am-securityevent/{WORKSPACE}/y=2024/m=02/d=29/h=23/PT05M.json"),
            format!("am-securityevent/{WORKSPACE}/y=2024/m=02/d=29/h=23/m=55/é.js"),
            "am-securityevent/PT05M.json".to_owned(),
        ] {
            assert_eq!(read(&path), None, "{path}");
        }
    }
}
