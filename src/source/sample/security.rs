//! Windows security events as Log Analytics delivers them: table `SecurityEvent`, about half of a hundred columns present.

use std::io::{self, Write};

use jiff::Timestamp;

use super::company::{self, Account, Machine};
use super::json::{Json, TICKS_PER_SECOND, Ticks, ticks};
use super::random::Random;

/// Mean distance of two records of [`security_events`]: 16,000 an hour.
const STEP: Ticks = TICKS_PER_SECOND * 225 / 1000;

/// Writes `count` records from `start` on as NDJSON, 225 ms apart on average and slightly out of order: most up to 30 s
/// back, one in a hundred up to 20 minutes, none before `start`. About 1.8 KB a record. Errors are those of `out`.
pub fn security_events(seed: u64, start: Timestamp, count: u64, out: &mut impl Write) -> io::Result<()> {
    let mut events = SecurityEvents::new(seed);
    let mut disorder = Random::new(seed, "disorder");
    let mut json = Json::default();
    let start = ticks(start);
    for index in 0..count {
        let minutes = if disorder.one_in(100) { 40 } else { 1 };
        let back = disorder.below(minutes * 30 * TICKS_PER_SECOND as u64) as Ticks;
        let at = start + (index as Ticks).saturating_mul(STEP);
        events.write(start.max(at - back) + disorder.below(1000) as Ticks, &mut json);
        if json.bytes.len() >= 1 << 20 {
            out.write_all(&json.bytes)?;
            json.bytes.clear();
        }
    }
    out.write_all(&json.bytes)
}

/// What happened, with its id, name, task, subcategory and how many of a thousand events it is.
struct What {
    id: u64,
    activity: &'static str,
    task: u64,
    subcategory: &'static str,
    weight: u64,
}

const WHATS: [What; 10] = [
    What {
        id: 4624,
        activity: "An account was successfully logged on.",
        task: 12544,
        subcategory: "0cce9215",
        weight: 250,
    },
    What { id: 4688, activity: "A new process has been created.", task: 13312, subcategory: "0cce922b", weight: 220 },
    What { id: 4634, activity: "An account was logged off.", task: 12545, subcategory: "0cce9216", weight: 90 },
    What {
        id: 4672,
        activity: "Special privileges assigned to new logon.",
        task: 12548,
        subcategory: "0cce921b",
        weight: 80,
    },
    What {
        id: 4769,
        activity: "A Kerberos service ticket was requested.",
        task: 14337,
        subcategory: "0cce9240",
        weight: 80,
    },
    What {
        id: 4663,
        activity: "An attempt was made to access an object.",
        task: 12800,
        subcategory: "0cce921d",
        weight: 70,
    },
    What { id: 4625, activity: "An account failed to log on.", task: 12544, subcategory: "0cce9217", weight: 50 },
    What {
        id: 4732,
        activity: "A member was added to a security-enabled local group.",
        task: 13826,
        subcategory: "0cce9237",
        weight: 10,
    },
    What {
        id: 5156,
        activity: "The Windows Filtering Platform has permitted a connection.",
        task: 12810,
        subcategory: "0cce9226",
        weight: 110,
    },
    What {
        id: 5158,
        activity: "The Windows Filtering Platform has permitted a bind to a local port.",
        task: 12810,
        subcategory: "0cce9226",
        weight: 40,
    },
];

const PRIVILEGES: [&str; 8] = [
    "SeSecurityPrivilege",
    "SeBackupPrivilege",
    "SeRestorePrivilege",
    "SeTakeOwnershipPrivilege",
    "SeDebugPrivilege",
    "SeSystemEnvironmentPrivilege",
    "SeLoadDriverPrivilege",
    "SeImpersonatePrivilege",
];

/// One company's machines, people and programs, and what happens among them.
pub(super) struct SecurityEvents {
    random: Random,
    tenant: String,
    group: String,
    subscriptions: [String; 3],
    machines: Vec<Machine>,
    accounts: Vec<Account>,
    programs: Vec<String>,
}

impl SecurityEvents {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, "company");
        let tenant = random.uuid_text();
        let group = random.uuid_text();
        let subscriptions = [random.uuid_text(), random.uuid_text(), random.uuid_text()];
        let machines = company::machines(&subscriptions, &mut random);
        let accounts = company::accounts(&machines);
        let programs = company::programs(&mut random);
        let random = Random::new(seed, "events");
        SecurityEvents { random, tenant, group, subscriptions, machines, accounts, programs }
    }

    /// Appends one record of the time `at`.
    pub(super) fn write(&mut self, at: Ticks, json: &mut Json) {
        let mut drawn = self.random.below(WHATS.iter().map(|what| what.weight).sum());
        let what = WHATS.iter().find(|what| {
            let found = drawn < what.weight;
            drawn = drawn.saturating_sub(what.weight);
            found
        });
        let what = what.unwrap_or(&WHATS[0]);
        let machine = self.random.skewed(self.machines.len() as u64) as usize;
        self.machines[machine].records += 1;
        let SecurityEvents { random, machines, accounts, programs, .. } = self;
        let machine = &machines[machine];
        let account = random.pick_skewed(accounts);
        let failed = what.id == 4625;

        json.begin();
        json.text("TenantId", &self.tenant);
        json.time("TimeGenerated", at);
        json.text("SourceSystem", if machine.records % 5 == 0 { "OpsManager" } else { "AMA" });
        json.joined("Account", account.domain, "\\", &account.user);
        json.text("AccountType", if account.is_machine { "Machine" } else { "User" });
        json.text("Computer", &machine.name);
        json.text("EventSourceName", "Microsoft-Windows-Security-Auditing");
        json.text("Channel", "Security");
        json.number("Task", what.task);
        json.text("Level", if failed { "16" } else { "8" });
        json.text("EventLevelName", "LogAlways");
        json.number("EventID", what.id);
        json.key("Activity");
        json.bytes.extend_from_slice(b"\"");
        let _ = write!(json.bytes, "{} - {}\"", what.id, what.activity);
        json.text("SourceComputerId", &machine.id);
        json.plain("EventOriginId", &random.uuid());
        json.text("MG", &self.group);
        json.time("TimeCollected", at + TICKS_PER_SECOND + random.below(60 * TICKS_PER_SECOND as u64) as Ticks);
        json.joined("ManagementGroupName", "AOI", "-", &self.group);
        json.text("Opcode", "0");
        json.text("Keywords", if failed { "0x8010000000000000" } else { "0x8020000000000000" });
        json.number("SystemProcessId", 4 * (150 + machine.records % 40));
        json.number("SystemThreadId", 4 * random.below(5000));
        json.number_text("EventRecordId", machine.records);
        json.number("Version", machine.records % 3);
        json.joined("SubcategoryGuid", what.subcategory, "", "-69ae-11d9-bed3-505054503030");

        let mut scene = Scene { random, json, machines, accounts, programs, machine, account };
        match what.id {
            4624 | 4625 => scene.logon(failed),
            4688 => scene.process(),
            4634 => scene.logoff(),
            4672 => scene.privileges(),
            4769 => scene.ticket(),
            4663 => scene.access(),
            4732 => scene.member(),
            _ => scene.connection(what.id == 5156),
        }
        if self.random.one_in(3) {
            json.plain("Correlation", &self.random.uuid());
        }
        json.text("_ResourceId", &machine.resource);
        json.text("_SubscriptionId", &self.subscriptions[machine.subscription]);
        json.plain("_ItemId", &self.random.uuid());
        json.text("_IsBillable", "True");
        json.number("_BilledSize", 900 + self.random.below(1200));
        json.text("Type", "SecurityEvent");
        json.end();
    }
}

/// One event's own columns.
struct Scene<'s> {
    random: &'s mut Random,
    json: &'s mut Json,
    machines: &'s [Machine],
    accounts: &'s [Account],
    programs: &'s [String],
    machine: &'s Machine,
    account: &'s Account,
}

impl Scene<'_> {
    fn subject(&mut self) {
        self.json.text("SubjectUserSid", &self.account.sid);
        self.json.text("SubjectUserName", &self.account.user);
        self.json.text("SubjectDomainName", self.account.domain);
        let session = if self.random.one_in(3) { 0x3e7 } else { 0x1_0000 + self.random.skewed(1 << 28) };
        self.json.hex_text("SubjectLogonId", session);
        self.json.joined("SubjectAccount", self.account.domain, "\\", &self.account.user);
    }

    fn target(&mut self) {
        let target = self.random.pick_skewed(self.accounts);
        self.json.text("TargetUserSid", &target.sid);
        self.json.text("TargetUserName", &target.user);
        self.json.text("TargetUser", &target.user);
        self.json.text("TargetDomainName", target.domain);
        self.json.hex_text("TargetLogonId", 0x1_0000 + self.random.below(1 << 32));
        self.json.joined("TargetAccount", target.domain, "\\", &target.user);
    }

    fn text(&mut self, key: &str, choices: &[&str]) {
        let value = self.random.pick(choices);
        self.json.text(key, value);
    }

    fn program(&mut self, full: &str, short: &str) {
        let program = self.random.pick_skewed(self.programs);
        self.json.text(full, program);
        self.json.text(short, program.rsplit('\\').next().unwrap_or(program));
        self.json.hex_text("ProcessId", 4 * (1 + self.random.below(8000)));
    }

    fn remote(&mut self, address: &str, port: &str) {
        let peer = self.random.pick_skewed(self.machines);
        if self.random.one_in(10) {
            self.json.joined(address, "203.0.113.", "", &self.random.below(255).to_string());
        } else {
            self.json.text(address, &peer.address);
        }
        self.json.number_text(port, 49_152 + self.random.below(16_384));
    }

    fn logon(&mut self, failed: bool) {
        self.subject();
        self.target();
        let (kind, name) = *self.random.pick_skewed(&[
            (3, "3 - Network"),
            (5, "5 - Service"),
            (2, "2 - Interactive"),
            (10, "10 - RemoteInteractive"),
            (4, "4 - Batch"),
        ]);
        self.json.number("LogonType", kind);
        self.json.text("LogonTypeName", name);
        self.text("LogonProcessName", &["Kerberos", "NtLmSsp ", "Advapi  ", "User32 "]);
        self.text("AuthenticationPackageName", &["Kerberos", "NTLM", "Negotiate"]);
        let workstation = self.random.pick_skewed(self.machines);
        self.json.text("WorkstationName", &workstation.short);
        self.json.text("TransmittedServices", "-");
        self.json.text("LmPackageName", if kind == 3 { "NTLM V2" } else { "-" });
        self.json.number("KeyLength", if kind == 3 { 128 } else { 0 });
        self.program("ProcessName", "Process");
        self.remote("IpAddress", "IpPort");
        if failed {
            self.text("FailureReason", &["%%2313", "%%2304", "%%2307"]);
            self.json.text("Status", "0xc000006d");
            self.text("SubStatus", &["0xc000006a", "0xc0000064", "0xc0000234"]);
            return;
        }
        self.json.plain("LogonGuid", &self.random.uuid());
        self.text("ImpersonationLevel", &["%%1833", "%%1832", "%%1840"]);
        self.text("ElevatedToken", &["%%1842", "%%1843"]);
        self.json.text("VirtualAccount", "%%1843");
        self.json.text("TargetLinkedLogonId", "0x0");
        for absent in
            ["RestrictedAdminMode", "TargetOutboundUserName", "TargetOutboundDomainName", "RemoteCredentialGuard"]
        {
            self.json.text(absent, "-");
        }
    }

    fn process(&mut self) {
        self.subject();
        self.target();
        let program = self.random.pick_skewed(self.programs);
        self.json.text("NewProcessName", program);
        self.json.hex_text("NewProcessId", 4 * (1 + self.random.below(8000)));
        self.program("ParentProcessName", "Process");
        self.json.hex_text("CreatorProcessId", 4 * (1 + self.random.below(8000)));
        self.text("TokenElevationType", &["%%1936", "%%1937", "%%1938"]);
        self.text("MandatoryLabel", &["S-1-16-16384", "S-1-16-8192", "S-1-16-12288"]);
        let mut line = format!("\"{program}\"");
        for _ in 0..1 + self.random.below(8) {
            let word = *self.random.pick(&[
                "/c",
                "-k netsvcs",
                "-p",
                "-NoProfile",
                "-ExecutionPolicy Bypass",
                "--log-level=info",
                "/quiet",
                "-Embedding",
                "-File C:\\Scripts\\rotate logs.ps1",
                "--since \"1 day\"",
                "| findstr /i error",
                "\t/y",
            ]);
            line.push(' ');
            line.push_str(word);
        }
        if self.random.one_in(4) {
            line.push_str(&format!(" --session {}", self.random.uuid_text()));
        }
        self.json.text("CommandLine", &line);
        let (a, b) = (self.random.below(500), program.len() as u64);
        self.json
            .text("FileHash", format!("SHA256={:016x}{:016x}{:016x}{:016x}", a * 0x9e37_79b9, b * 0x85eb_ca6b, a, b));
        self.json.text("Fqbn", "O=EXAMPLE SOFTWARE, L=SPRINGFIELD, C=US\\PACKAGE\\TOOL.EXE\\10.0.20348.1");
    }

    fn logoff(&mut self) {
        self.subject();
        self.target();
        self.json.number("LogonType", 3);
        self.json.text("LogonTypeName", "3 - Network");
    }

    fn privileges(&mut self) {
        self.subject();
        let count = 3 + self.random.below(6) as usize;
        self.json.text("PrivilegeList", PRIVILEGES[..count].join("\r\n\t\t\t"));
        for absent in ["SessionName", "ClientAddress", "ClientName"] {
            self.json.text(absent, "-");
        }
    }

    fn ticket(&mut self) {
        self.target();
        let service = self.random.pick_skewed(self.machines);
        self.json.joined("ServiceName", &service.short, "", "$");
        let sid = &self.random.pick_skewed(self.accounts).sid;
        self.json.text("ServiceSid", sid);
        self.text("TicketOptions", &["0x40810000", "0x40810010", "0x60810010"]);
        self.json.text("TicketEncryptionType", if self.random.one_in(20) { "0x17" } else { "0x12" });
        self.remote("IpAddress", "IpPort");
        self.json.text("Status", "0x0");
        self.json.plain("LogonGuid", &self.random.uuid());
        self.json.text("TransmittedServices", "-");
        self.json.text("PreAuthType", "2");
    }

    fn access(&mut self) {
        self.subject();
        self.json.text("ObjectServer", "Security");
        self.text("ObjectType", &["File", "Key", "Process"]);
        let extension = *self.random.pick(&["docx", "xlsx", "pdf", "txt"]);
        let (share, file) = (self.random.below(40), self.random.below(9000));
        let name = format!("D:\\Shares\\team{share}\\{}\\report {file}.{extension}", self.account.user);
        self.json.text("ObjectName", &name);
        self.json.hex_text("HandleId", 4 * self.random.below(2000));
        self.text("AccessList", &["%%4416\r\n\t\t\t\t", "%%4417\r\n\t\t\t\t", "%%1537\r\n\t\t\t\t"]);
        self.text("AccessMask", &["0x1", "0x2", "0x10000"]);
        self.program("ProcessName", "Process");
        self.json.text("ResourceAttributes", "S:AI");
    }

    fn member(&mut self) {
        self.subject();
        let member = self.random.pick_skewed(self.accounts);
        self.json.joined("MemberName", "CN=", &member.user, ",OU=Staff,DC=corp,DC=example");
        self.json.text("MemberSid", &member.sid);
        self.json.text("TargetUserName", "Administrators");
        self.json.text("TargetSid", "S-1-5-32-544");
        self.json.text("SamAccountName", "-");
        self.json.text("SidHistory", "-");
    }

    fn connection(&mut self, connected: bool) {
        self.program("Application", "Process");
        self.json.text("SourceAddress", &self.machine.address);
        self.json.number_text("SourcePort", 49_152 + self.random.below(16_384));
        self.text("Protocol", &["6", "6", "6", "17"]);
        self.json.number_text("FilterRTID", 65_000 + self.random.below(900));
        self.text("LayerName", &["%%14608", "%%14610", "%%14611"]);
        self.text("LayerRTID", &["36", "44", "48"]);
        if connected {
            self.text("Direction", &["%%14592", "%%14593"]);
            let peer = self.random.pick_skewed(self.machines);
            self.json.text("DestAddress", &peer.address);
            self.text("DestPort", &["443", "445", "135", "389", "53", "3389", "88"]);
            self.json.text("RemoteUserID", "S-1-0-0");
            self.json.text("RemoteMachineID", "S-1-0-0");
            self.json.number_text("InterfaceIndex", self.random.below(12));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn written(seed: u64, count: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        security_events(seed, "2024-03-01T00:00:00Z".parse().unwrap(), count, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn records_have_the_shape_of_real_ones() {
        let count = 3000;
        let bytes = written(7, count);
        assert!(written(7, count) == bytes && written(8, count) != bytes);
        let size = bytes.len() as u64 / count;
        assert!((1600..2000).contains(&size), "{size} bytes a record");
        let (mut columns, mut present, mut last, mut disorder) = (BTreeSet::new(), 0, String::new(), 0);
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).unwrap();
            let names = line.windows(2).filter(|pair| pair == b"\":").count();
            assert_eq!(names, record.len(), "a key twice, or one within a text");
            present += record.len() as u64;
            let time = record["TimeGenerated"].as_str().unwrap().to_owned();
            assert!(time.as_str() >= "2024-03-01T00:00:00.0000000Z" && time.len() == 28, "{time}");
            disorder += u64::from(time < last);
            last = time;
            columns.extend(record.into_iter().map(|(name, _)| name));
        }
        assert!((45..55).contains(&(present / count)), "{} columns present", present / count);
        assert!((90..115).contains(&columns.len()), "{} columns", columns.len());
        assert!(disorder > count / 10, "{disorder}");
    }
}
