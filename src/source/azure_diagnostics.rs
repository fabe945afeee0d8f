//! The paths of Azure's diagnostic settings, activity logs and flow logs.
//!
//! ```text
//! insights-logs-<category>/resourceId=/SUBSCRIPTIONS/<id>/RESOURCEGROUPS/<group>/PROVIDERS/MICROSOFT.<service>/<type>/<name>
//!   /y=YYYY/m=MM/d=DD/h=HH/m=00/PT1H.json
//! insights-activity-logs/resourceId=/SUBSCRIPTIONS/<id>/y=…
//! insights-logs-<category>/tenantId=<id>/y=…            or resourceId=/tenants/<id>/providers/microsoft.<service>/y=…
//! insights-logs-flowlogflowevent/flowLogResourceID=/<id>_NETWORKWATCHERRG/NETWORKWATCHER_<region>_<name>
//!   /y=…/m=00/macAddress=<address>/PT1H.json
//! ```
//! `m=` stands twice: month, then minute. Upper and lower case vary. The folder is the hour in which the records were
//! received: their own times lie up to two days before it. Records of one category differ from service to service, so
//! that the table is named by both: `keyvault_vaults_auditevent`.

use jiff::ToSpan;

use super::azure_export::{number, strip_prefix};
use super::layout::{Period, Seen, moment};

/// What a path below the containers says; `None` if it is none of these.
pub(super) fn read(path: &str) -> Option<Seen> {
    let segments: Vec<&str> = path.split('/').collect();
    let (&container, rest) = segments.split_first()?;
    let (&file, rest) = rest.split_last()?;
    if !file.eq_ignore_ascii_case("PT1H.json") {
        return None;
    }
    let rest = match rest.split_last()? {
        (mac, rest) if strip_prefix(mac, "macAddress=").is_some() => rest,
        _ => rest,
    };
    let (resource, hour) = rest.split_at_checked(rest.len().checked_sub(5)?)?;
    let [year, month, day, hour, minute] = hour else { return None };
    let start = moment(
        number(year, "y=", 4)?,
        number(month, "m=", 2)?,
        number(day, "d=", 2)?,
        number(hour, "h=", 2)?,
        number(minute, "m=", 2).filter(|minute| *minute == 0)?,
    )
    .ok()?;
    let category = match strip_prefix(container, "insights-logs-") {
        Some(category) if !category.is_empty() => category,
        Some(_) => return None,
        None if container.eq_ignore_ascii_case("insights-activity-logs") => "activity",
        None => return None,
    };
    let table = format!("{}_{category}", owner(resource)?).to_lowercase();
    Some(Seen { table, period: Some(Period::from(start, 1.hour()).ok()?) })
}

/// Whose logs they are, for a table's name: service and type, else the level they are of.
fn owner(resource: &[&str]) -> Option<String> {
    let (&first, rest) = resource.split_first()?;
    if strip_prefix(first, "flowLogResourceID=").is_some_and(str::is_empty) {
        return (!rest.is_empty()).then(|| "network".to_owned());
    }
    if let Some(tenant) = strip_prefix(first, "tenantId=") {
        return (rest.is_empty() && !tenant.is_empty()).then(|| "tenant".to_owned());
    }
    if !first.eq_ignore_ascii_case("resourceId=") {
        return None;
    }
    let (&level, _) = rest.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let level = ["subscription", "tenant"]
        .into_iter()
        .find(|known| strip_prefix(level, known).is_some_and(|plural| plural.eq_ignore_ascii_case("s")))?;
    // An extension's resource stands behind the one it extends: the last is meant.
    let Some(at) = rest.iter().rposition(|segment| segment.eq_ignore_ascii_case("providers")) else {
        return Some(level.to_owned());
    };
    let (provider, types) = rest[at + 1..].split_first()?;
    let service = strip_prefix(provider, "microsoft.").unwrap_or(provider);
    let mut owner = service.replace('.', "_");
    // Types and names take turns.
    for kind in types.iter().step_by(2) {
        owner = owner + "_" + kind;
    }
    Some(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAULT: &str = "resourceId=/SUBSCRIPTIONS/00000000-1111-2222-3333-444444444444/RESOURCEGROUPS/RG-APP/PROVIDERS/\
                         MICROSOFT.KEYVAULT/VAULTS/KV-1";
    const HOUR: &str = "y=2024/m=02/d=29/h=23/m=00";

    fn table(path: &str) -> Option<String> {
        let seen = read(path)?;
        let period = seen.period?;
        assert_eq!(format!("{}/{}", period.start, period.end), "2024-02-29T23:00:00Z/2024-03-01T00:00:00Z");
        assert!(crate::names::TableName::is_valid_part(&seen.table), "{}", seen.table);
        Some(seen.table)
    }

    #[test]
    fn the_table_is_named_by_service_type_and_category() {
        let subscription = "resourceId=/SUBSCRIPTIONS/00000000-1111-2222-3333-444444444444";
        for (path, expected) in [
            (format!("insights-logs-auditevent/{VAULT}"), "keyvault_vaults_auditevent"),
            (format!("INSIGHTS-LOGS-AUDITEVENT/{}", VAULT.to_lowercase()), "keyvault_vaults_auditevent"),
            (
                format!(
                    "insights-logs-sqlsecurityauditevents/{subscription}/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.SQL/\
                     SERVERS/S1/DATABASES/MASTER"
                ),
                "sql_servers_databases_sqlsecurityauditevents",
            ),
            (
                format!(
                    "insights-logs-kube-audit/{subscription}/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.CONTAINERSERVICE/\
                     MANAGEDCLUSTERS/AKS"
                ),
                "containerservice_managedclusters_kube-audit",
            ),
            (
                format!(
                    "insights-logs-storageread/{subscription}/resourceGroups/rg/providers/Microsoft.Storage/\
                     storageAccounts/st/blobServices/default"
                ),
                "storage_storageaccounts_blobservices_storageread",
            ),
            (format!("insights-activity-logs/{subscription}"), "subscription_activity"),
            ("insights-logs-signinlogs/tenantId=00000000-1111-2222-3333-444444444444".into(), "tenant_signinlogs"),
            ("insights-logs-auditlogs/resourceId=/tenants/0000/providers/Microsoft.aadiam".into(), "aadiam_auditlogs"),
            ("insights-logs-auditlogs/resourceId=/TENANTS/0000".into(), "tenant_auditlogs"),
        ] {
            assert_eq!(table(&format!("{path}/{HOUR}/PT1H.json")).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn flow_logs_of_both_kinds() {
        let nsg = "insights-logs-networksecuritygroupflowevent/resourceId=/SUBSCRIPTIONS/0000/RESOURCEGROUPS/RG/PROVIDERS/\
                   MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/NSG-1";
        assert_eq!(
            table(&format!("{nsg}/{HOUR}/macAddress=0022485D8CF8/PT1H.json")).as_deref(),
            Some("network_networksecuritygroups_networksecuritygroupflowevent")
        );
        let vnet =
            "insights-logs-flowlogflowevent/flowLogResourceID=/0000_NETWORKWATCHERRG/NETWORKWATCHER_EASTUS2_VNET-1";
        assert_eq!(
            table(&format!("{vnet}/{HOUR}/macAddress=0022485D8CF8/PT1H.json")).as_deref(),
            Some("network_flowlogflowevent")
        );
    }

    #[test]
    fn anything_else_is_a_stranger() {
        for path in [
            format!("insights-logs-/{VAULT}/{HOUR}/PT1H.json"),
            format!("insights-metrics-pt1m/{VAULT}/{HOUR}/PT1H.json"),
            format!("{VAULT}/{HOUR}/PT1H.json"),
            format!("insights-logs-auditevent/{VAULT}/y=2024/m=02/d=30/h=23/m=00/PT1H.json"),
            format!("insights-logs-auditevent/{VAULT}/y=2024/m=02/d=29/h=23/m=05/PT1H.json"),
            format!("insights-logs-auditevent/{VAULT}/y=2024/m=02/d=29/h=23/PT1H.json"),
            format!("insights-logs-auditevent/{VAULT}/{HOUR}/PT1H.json.tmp"),
            format!("insights-logs-auditevent/{HOUR}/PT1H.json"),
            format!("insights-logs-auditevent/resourceId=/{HOUR}/PT1H.json"),
            format!("insights-logs-auditevent/resourceId=/SUBSCRIPTIONS/{HOUR}/PT1H.json"),
            format!("insights-logs-auditevent/resourceId=/PLANETS/0000/{HOUR}/PT1H.json"),
            format!("insights-logs-auditevent/resourceId=/SUBSCRIPTIONS/0/PROVIDERS/{HOUR}/PT1H.json"),
            format!("insights-logs-signinlogs/tenantId=/{HOUR}/PT1H.json"),
            format!("insights-logs-flowlogflowevent/flowLogResourceID=/{HOUR}/PT1H.json"),
            "insights-logs-auditevent/PT1H.json".to_owned(),
            "PT1H.json".to_owned(),
            String::new(),
        ] {
            assert_eq!(read(&path), None, "{path}");
        }
    }
}
