//! Records of the demo's other tables: sign-ins with nested columns, firewall noise, and a log that no catalogue knows.

use std::io::Write;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::json::{Json, TICKS_PER_SECOND, Ticks};
use super::random::Random;

const TENANT: &str = "5f0c1c7e-6d0b-4c44-9a51-0d7f3f9b2a10";
const PEOPLE: [(&str, &str); 6] = [
    ("Anna Example", "anna@corp.example"),
    ("Björn Østergård", "bjoern@corp.example"),
    ("陈伟", "chen.wei@corp.example"),
    ("Dana O\"Neil", "dana@corp.example"),
    ("Émile Lefèvre", "emile@corp.example"),
    ("Farah الحسن", "farah@corp.example"),
];

/// One sign-in to Microsoft Entra: `SigninLogs`, with nested columns and JSON inside text.
pub(super) fn signin(random: &mut Random, at: Ticks, json: &mut Json) {
    let (name, mail) = *random.pick(&PEOPLE);
    let failed = random.one_in(6);
    let (city, country, latitude, longitude) = *random.pick(&[
        ("Zürich", "CH", "47.3769", "8.5417"),
        ("São Paulo", "BR", "-23.55", "-46.633299999999998"),
        ("Springfield", "US", "39.8", "-89.65"),
    ]);
    json.begin();
    json.text("TenantId", TENANT);
    json.text("SourceSystem", "Azure AD");
    json.time("TimeGenerated", at);
    json.text("OperationName", "Sign-in activity");
    json.text("OperationVersion", "1.0");
    json.text("Category", "SignInLogs");
    json.text("ResultType", if failed { "50126" } else { "0" });
    json.text("ResultDescription", if failed { "Invalid username or password." } else { "" });
    json.number("DurationMs", random.below(900));
    json.plain("CorrelationId", &random.uuid());
    json.plain("Id", &random.uuid());
    json.text("Identity", name);
    json.text("Level", "4");
    json.text("Location", country);
    json.text("AppDisplayName", random.pick(&["Office 365", "Azure Portal", "Payroll"]));
    json.text("ClientAppUsed", "Browser");
    json.text("ConditionalAccessStatus", if failed { "failure" } else { "success" });
    json.raw(
        "ConditionalAccessPolicies",
        if failed {
            r#"[{"id":"c1","displayName":"Require MFA","result":"failure","enforcedGrantControls":["Mfa"]}]"#
        } else {
            r#"[{"id":"c1","displayName":"Require MFA","result":"success","enforcedGrantControls":["Mfa"]},{"id":"c2","displayName":"Block legacy","result":"notApplied","enforcedGrantControls":[]}]"#
        },
    );
    json.raw(
        "DeviceDetail",
        r#"{"deviceId":"","operatingSystem":"Windows 11","browser":"Edge 122.0.0","isCompliant":true,"isManaged":false}"#,
    );
    json.key("LocationDetails");
    let _ = write!(
        json.bytes,
        r#"{{"city":"{city}","countryOrRegion":"{country}","geoCoordinates":{{"latitude":{latitude},"longitude":{longitude}}}}}"#
    );
    json.raw("MfaDetail", if failed { "null" } else { r#"{"authMethod":"Authenticator","authDetail":null}"# });
    json.raw(
        "Status",
        if failed {
            r#"{"errorCode":50126,"failureReason":"Invalid username or password."}"#
        } else {
            r#"{"errorCode":0}"#
        },
    );
    json.text(
        "AuthenticationDetails",
        r#"[{"authenticationMethod":"Password","succeeded":true,"authenticationStepRequirement":"Primary"}]"#,
    );
    json.joined("IPAddress", "198.51.100.", "", &random.below(255).to_string());
    json.raw("IsInteractive", "true");
    json.raw("IsRisky", if failed { "null" } else { "false" });
    json.time("CreatedDateTime", at - 2 * TICKS_PER_SECOND);
    json.text("UserDisplayName", name);
    json.text("UserPrincipalName", mail);
    json.text("UserAgent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64)");
    json.text("UserType", "Member");
    json.text("Type", "SigninLogs");
    json.end();
}

/// One decision of Azure Firewall: `AZFWNetworkRule`, many, small and alike.
pub(super) fn firewall(random: &mut Random, at: Ticks, json: &mut Json) {
    let denied = random.one_in(8);
    json.begin();
    json.text("TenantId", TENANT);
    json.time("TimeGenerated", at);
    json.text("Protocol", random.pick(&["TCP", "TCP", "UDP"]));
    json.joined("SourceIp", "10.10.", "0.", &random.below(255).to_string());
    json.number("SourcePort", 49_152 + random.below(16_384));
    json.joined("DestinationIp", "192.0.2.", "", &random.below(255).to_string());
    json.number("DestinationPort", *random.pick(&[443, 53, 123, 1433, 22]));
    json.text("Action", if denied { "Deny" } else { "Allow" });
    json.text("ActionReason", if denied { "Default Action" } else { "" });
    json.text("Policy", "fw-policy-hub");
    json.text("RuleCollectionGroup", "DefaultNetworkRuleCollectionGroup");
    json.text("RuleCollection", if denied { "" } else { "allow-outbound" });
    json.text("Rule", if denied { "" } else { "web-and-time" });
    json.text("SourceSystem", "Azure");
    json.text(
        "_ResourceId",
        "/subscriptions/0b1f/resourcegroups/hub/providers/microsoft.network/azurefirewalls/fw-hub",
    );
    json.text("Type", "AZFWNetworkRule");
    json.end();
}

/// One line of a home-grown program: `HomegrownAppAudit`. Its author changed his mind about types more than once.
pub(super) fn homegrown(random: &mut Random, at: Ticks, json: &mut Json) {
    let (name, _) = *random.pick(&PEOPLE);
    json.begin();
    json.key("TimeGenerated");
    let second = Timestamp::from_second(at.div_euclid(TICKS_PER_SECOND)).unwrap_or_default();
    let local = TimeZone::fixed(Offset::constant(1)).to_datetime(second);
    let _ = write!(json.bytes, "\"{local}.{:03}+01:00\"", at.rem_euclid(TICKS_PER_SECOND) / 10_000);
    json.text("user", name);
    json.text("action", random.pick(&["order.create", "order.cancel", "invoice.print", "price.change"]));
    json.raw("order id", &random.below(100_000).to_string());
    let (euros, cents) = (random.below(900), random.below(100));
    let amount = match random.below(4) {
        0 => format!("{euros}"),
        1 => format!("{euros}.{cents:02}"),
        2 => format!("\"{euros},{cents:02}\""),
        _ => "1e3".to_owned(),
    };
    json.raw("amount", &amount);
    json.raw("lines", r#"[{"sku":"A-1","qty":2},{"sku":"B/7 \u00e4","qty":0.5}]"#);
    if random.one_in(3) {
        json.raw("note", "null");
    } else if random.one_in(3) {
        json.text("Note", "Sonderpreis laut Chef ✓");
    }
    json.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_one_line_of_json() {
        let mut random = Random::new(3, "test");
        let mut json = Json::default();
        for write in [signin, firewall, homegrown] {
            for second in 0..200 {
                write(&mut random, second * 17 * TICKS_PER_SECOND + 1_234_567, &mut json);
            }
        }
        let text = String::from_utf8(json.bytes).unwrap();
        assert_eq!(text.lines().count(), 600);
        for line in text.lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(record["TimeGenerated"].as_str().unwrap().starts_with("1970-01-01T0"), "{line}");
        }
        assert!(text.contains("\"1970-01-01T01:00:00.123+01:00\""), "the home-grown log writes local time");
    }
}
