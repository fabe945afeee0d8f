//! Windows security events as Log Analytics delivers them: 106 columns of which about 50 are present in a record of
//! some 1.8 KB, skewed over 500 machines and 5,000 accounts, slightly out of order.
//!
//! An hour is told by its number alone, so that hours can be made in any order and as many as wanted.

use super::company::{Account, Company, short};
use super::draw::{Ndjson, Random, SECOND, Ticks};
use super::sets::Facts;

/// Columns in the order of records: `:t` a time, `:i` an integer, `:b` a Boolean, `:n` nested, else text.
pub const COLUMNS: &str = "TenantId TimeGenerated:t SourceSystem Account AccountType Computer EventSourceName Channel Task:i Level \
    EventLevelName EventID:i Activity SourceComputerId EventOriginId MG TimeCollected:t ManagementGroupName Opcode \
    Keywords SystemProcessId:i SystemThreadId:i EventRecordId Version:i _SubscriptionId Application SubjectUserSid \
    SubjectUserName SubjectDomainName SubjectLogonId SubjectAccount PrivilegeList SessionName ClientAddress \
    ClientName ObjectServer ObjectType ObjectName HandleId AccessList AccessMask TargetUserSid TargetUserName \
    TargetDomainName TargetLogonId TargetAccount TargetUser ServiceName ServiceSid TicketOptions \
    TicketEncryptionType NewProcessId NewProcessName TokenElevationType CreatorProcessId LogonType:i LogonTypeName \
    LogonProcessName AuthenticationPackageName WorkstationName TransmittedServices PreAuthType LmPackageName \
    KeyLength:i ProcessId ParentProcessName Direction SourceAddress SourcePort DestAddress DestPort Protocol \
    FilterRTID LayerName LayerRTID RemoteUserID RemoteMachineID InterfaceIndex CompartmentId ProcessName Process \
    MandatoryLabel CommandLine NewProcessIntegrity FileHash Fqbn ResourceAttributes IpAddress IpPort FailureReason \
    Status SubStatus LogonGuid ImpersonationLevel RestrictedAdminMode TargetOutboundUserName \
    TargetOutboundDomainName VirtualAccount TargetLinkedLogonId ElevatedToken RemoteCredentialGuard SubcategoryGuid \
    _ResourceId _ItemId Type Correlation";

/// Event, what happened, its task, subcategory, how many of a hundred.
const EVENTS: [(u64, &str, u64, &str, u64); 8] = [
    (4624, "4624 - An account was successfully logged on.", 12544, "0cce9215", 26),
    (4625, "4625 - An account failed to log on.", 12544, "0cce9215", 5),
    (4688, "4688 - A new process has been created.", 13312, "0cce922b", 25),
    (4672, "4672 - Special privileges assigned to new logon.", 12548, "0cce921b", 10),
    (5156, "5156 - The Windows Filtering Platform has permitted a connection.", 12810, "0cce9226", 18),
    (4634, "4634 - An account was logged off.", 12545, "0cce9216", 7),
    (4769, "4769 - A Kerberos service ticket was requested.", 14337, "0cce9240", 5),
    (4663, "4663 - An attempt was made to access an object.", 12800, "0cce921d", 4),
];

const WORDS: [&str; 22] = [
    "-Embedding",
    "/c",
    "-k",
    "netsvcs",
    "-p",
    "-s",
    "Schedule",
    "--type=utility",
    "/quiet",
    "-NoProfile",
    "-ExecutionPolicy",
    "Bypass",
    "-File",
    "-EncodedCommand",
    "--config",
    "/RunAs:SYSTEM",
    "--pipe",
    "-ServerName",
    "start",
    "query",
    "export",
    "--log-level=info",
];

const PRIVILEGES: &str = "SeSecurityPrivilege\r\n\t\t\tSeBackupPrivilege\r\n\t\t\tSeRestorePrivilege\r\n\t\t\t\
     SeTakeOwnershipPrivilege\r\n\t\t\tSeDebugPrivilege\r\n\t\t\tSeSystemEnvironmentPrivilege\r\n\t\t\t\
     SeLoadDriverPrivilege\r\n\t\t\tSeImpersonatePrivilege";

impl Company {
    /// The records of one hour from `start` on: up to 30 s out of order, one in a hundred up to 20 minutes, none before
    /// `first`.
    pub fn hour(&self, hour: u64, start: Ticks, first: Ticks, count: u64, out: &mut Ndjson, facts: &mut Facts) {
        let mut random = Random::new("security", hour);
        let mut written: Vec<u64> =
            self.machines.iter().map(|machine| machine.records + hour.wrapping_mul(2500)).collect();
        for index in 0..count {
            let mut at = start + (index * 3600 * SECOND as u64 / count) as Ticks;
            at -= random.below(30 * SECOND as u64) as Ticks;
            if random.one_in(100) {
                at -= random.below(1200 * SECOND as u64) as Ticks;
            }
            if at < first {
                at = first + random.below(SECOND as u64) as Ticks;
            }
            let machine = random.skewed(self.machines.len() as u64) as usize;
            written[machine] += 1;
            let account = random.pick_skewed(&self.accounts);
            facts.saw(at, &account.full, None);
            let record = hour * count + index;
            let scene = Scene { company: self, random: &mut random, json: out, machine, account, record };
            scene.write(at, written[machine]);
        }
    }
}

/// One record: who and where, and what is written to.
struct Scene<'s> {
    company: &'s Company,
    random: &'s mut Random,
    json: &'s mut Ndjson,
    machine: usize,
    account: &'s Account,
    record: u64,
}

impl Scene<'_> {
    fn write(mut self, at: Ticks, written: u64) {
        let company = self.company;
        let machine = &company.machines[self.machine];
        let event = self.random.weighted(EVENTS.iter().map(|event| event.4));
        let (id, activity, task, subcategory, _) = EVENTS[event];
        let failed = id == 4625;
        self.json.open();
        self.text("TenantId", &company.tenant);
        self.json.time("TimeGenerated", at, true);
        self.text("SourceSystem", if self.machine.is_multiple_of(5) { "OpsManager" } else { "AMA" });
        self.text("Account", &self.account.full);
        self.text("AccountType", if self.account.is_machine { "Machine" } else { "User" });
        self.text("Computer", &machine.name);
        self.text("EventSourceName", "Microsoft-Windows-Security-Auditing");
        self.text("Channel", "Security");
        self.json.number("Task", task);
        self.text("Level", if failed { "16" } else { "8" });
        self.text("EventLevelName", "LogAlways");
        self.json.number("EventID", id);
        self.text("Activity", activity);
        self.text("SourceComputerId", &machine.id);
        self.uuid("EventOriginId");
        self.text("MG", &company.group);
        let collected = at + 2 * SECOND + self.random.below(60 * SECOND as u64) as Ticks;
        self.json.time("TimeCollected", collected, true);
        self.text("ManagementGroupName", "AOI-contoso");
        self.text("Opcode", "0");
        self.text("Keywords", if failed { "0x8010000000000000" } else { "0x8020000000000000" });
        self.json.number("SystemProcessId", 600 + self.machine as u64 % 40 * 4);
        self.json.number("SystemThreadId", self.random.below(5000) * 4);
        self.text("EventRecordId", &written.to_string());
        self.json.number("Version", event as u64 % 3);
        self.text("_SubscriptionId", &company.subscriptions[machine.subscription]);
        match id {
            4624 | 4625 => self.logon(failed),
            4688 => self.process(),
            4672 => self.privileges(),
            5156 => self.connection(),
            4634 => self.logoff(),
            4769 => self.ticket(),
            _ => self.access(),
        }
        self.text("SubcategoryGuid", &format!("{subcategory}-69ae-11d9-bed3-505054503030"));
        self.text("_ResourceId", &machine.resource);
        self.uuid("_ItemId");
        self.text("Type", "SecurityEvent");
        if self.random.one_in(3) {
            self.uuid("Correlation");
        }
        self.json.end_record();
    }

    fn text(&mut self, key: &str, value: &str) {
        self.json.text(key, value);
    }

    fn one_of(&mut self, key: &str, choices: &[&str]) {
        let value = *self.random.pick(choices);
        self.json.text(key, value);
    }

    fn uuid(&mut self, key: &str) {
        let value = self.random.uuid();
        self.json.text(key, &value);
    }

    fn digits(&mut self, key: &str, from: u64, limit: u64) {
        let value = from + self.random.below(limit);
        self.json.text(key, &value.to_string());
    }

    fn hex(&mut self, key: &str, value: u64) {
        self.json.text(key, &format!("{value:#x}"));
    }

    fn process_id(&mut self, key: &str) {
        let value = 4 + 4 * self.random.below(8000);
        self.hex(key, value);
    }

    /// A program's full name, and the short one under `Process`.
    fn program(&mut self, key: &str) {
        let company = self.company;
        let program = self.random.pick_skewed(&company.programs);
        self.text(key, program);
        self.text("Process", short(program));
    }

    fn absent(&mut self, keys: &[&str]) {
        for key in keys {
            self.text(key, "-");
        }
    }

    fn subject(&mut self) {
        let account = self.account;
        self.text("SubjectUserSid", &account.sid);
        self.text("SubjectUserName", &account.user);
        self.text("SubjectDomainName", account.domain);
        let session = if self.random.one_in(3) { 0x3e7 } else { 0x1_0000 + self.random.skewed(1 << 28) };
        self.hex("SubjectLogonId", session);
        self.text("SubjectAccount", &account.full);
    }

    fn target(&mut self) {
        let company = self.company;
        let target = self.random.pick_skewed(&company.accounts);
        self.text("TargetUserSid", &target.sid);
        self.text("TargetUserName", &target.user);
        self.text("TargetDomainName", target.domain);
        // A needle now and then.
        let drawn = 0x1_0000 + self.random.below(1 << 32);
        self.hex("TargetLogonId", if self.record % 433_333 == 77 { 0x00de_adbe_ef42 } else { drawn });
        self.text("TargetAccount", &target.full);
        self.text("TargetUser", &target.user);
    }

    /// Another machine's address, or one in ten times some other.
    fn address(&mut self) -> String {
        if self.random.one_in(10) {
            let part = |random: &mut Random| random.below(256);
            let random = &mut *self.random;
            return format!("{}.{}.{}.{}", 20 + random.below(180), part(random), part(random), 1 + random.below(254));
        }
        self.random.pick_skewed(&self.company.machines).address.clone()
    }

    fn other_machine(&mut self, key: &str) {
        let company = self.company;
        let machine = self.random.pick_skewed(&company.machines);
        self.text(key, &machine.short);
    }

    fn logon(&mut self, failed: bool) {
        self.subject();
        self.target();
        let (kind, name) = *self.random.pick(&[
            (3, "3 - Network"),
            (3, "3 - Network"),
            (3, "3 - Network"),
            (3, "3 - Network"),
            (5, "5 - Service"),
            (2, "2 - Interactive"),
            (10, "10 - RemoteInteractive"),
            (4, "4 - Batch"),
        ]);
        self.json.number("LogonType", kind);
        self.text("LogonTypeName", name);
        self.one_of("LogonProcessName", &["Kerberos", "NtLmSsp ", "Advapi  ", "User32 "]);
        self.one_of("AuthenticationPackageName", &["Kerberos", "NTLM", "Negotiate"]);
        self.other_machine("WorkstationName");
        self.absent(&["TransmittedServices"]);
        self.text("LmPackageName", if kind == 3 { "NTLM V2" } else { "-" });
        self.json.number("KeyLength", if kind == 3 { 128 } else { 0 });
        self.process_id("ProcessId");
        self.program("ProcessName");
        let address = self.address();
        self.text("IpAddress", &address);
        self.digits("IpPort", 49_152, 16_384);
        if failed {
            self.one_of("FailureReason", &["%%2313", "%%2304", "%%2307"]);
            self.text("Status", "0xc000006d");
            self.one_of("SubStatus", &["0xc000006a", "0xc0000064", "0xc0000234"]);
            return;
        }
        self.uuid("LogonGuid");
        self.one_of("ImpersonationLevel", &["%%1833", "%%1832", "%%1840"]);
        self.absent(&["RestrictedAdminMode", "TargetOutboundUserName", "TargetOutboundDomainName"]);
        self.text("VirtualAccount", "%%1843");
        self.text("TargetLinkedLogonId", "0x0");
        self.one_of("ElevatedToken", &["%%1842", "%%1843"]);
        self.absent(&["RemoteCredentialGuard"]);
    }

    fn process(&mut self) {
        self.subject();
        self.target();
        let company = self.company;
        let new = self.random.pick_skewed(&company.programs);
        self.process_id("NewProcessId");
        self.text("NewProcessName", new);
        self.one_of("TokenElevationType", &["%%1936", "%%1937", "%%1938"]);
        self.process_id("CreatorProcessId");
        self.process_id("ProcessId");
        let parent = self.random.pick_skewed(&company.programs);
        self.text("ParentProcessName", parent);
        self.text("Process", short(new));
        self.one_of("MandatoryLabel", &["S-1-16-16384", "S-1-16-8192", "S-1-16-12288"]);
        let line = self.command_line(new);
        self.text("CommandLine", &line);
        self.text("NewProcessIntegrity", "System");
        let (length, near_end) = (new.len() as u64, u64::from(new.as_bytes()[new.len() - 6]));
        let (a, b) = (length.wrapping_mul(0x9e37_79b9_7f4a_7c15), near_end.wrapping_mul(0xd1b5_4a32_d192_ed03));
        self.text("FileHash", &format!("SHA256={a:016x}{b:016x}{:016x}{length:016x}", 77));
        self.text("Fqbn", "O=MICROSOFT CORPORATION, L=REDMOND, S=WASHINGTON, C=US");
    }

    fn command_line(&mut self, program: &str) -> String {
        let mut line = format!("\"{program}\"");
        for _ in 0..2 + self.random.below(7) {
            line.push(' ');
            match self.random.below(6) {
                0 => line.push_str(&format!("{{{}}}", self.random.uuid())),
                1 => line.push_str(&format!(
                    "\"C:\\Users\\{}\\AppData\\Local\\Temp\\{:x}.tmp\"",
                    self.account.user,
                    self.random.next() as u32
                )),
                2 => line.push_str(&format!("--id={}", self.random.below(1_000_000))),
                _ => {
                    let word = *self.random.pick(&WORDS);
                    line.push_str(word);
                }
            }
        }
        if self.record % 60_013 == 5 {
            line.push_str(" sekurlsa::mimikatz privilege::debug");
        }
        line
    }

    fn privileges(&mut self) {
        self.subject();
        let end = if self.random.one_in(4) { 100 } else { PRIVILEGES.len() };
        self.text("PrivilegeList", &PRIVILEGES[..end]);
        self.absent(&["SessionName", "ClientAddress", "ClientName"]);
    }

    fn connection(&mut self) {
        let company = self.company;
        let program = self.random.pick_skewed(&company.programs);
        self.text("Application", &program.replace("C:", "\\device\\harddiskvolume4").to_lowercase());
        self.text("Process", short(program));
        let process = 4 + 4 * self.random.below(4000);
        self.text("ProcessId", &process.to_string());
        self.one_of("Direction", &["%%14592", "%%14593"]);
        self.text("SourceAddress", &company.machines[self.machine].address);
        self.digits("SourcePort", 49_152, 16_384);
        let address = self.address();
        self.text("DestAddress", &address);
        self.one_of("DestPort", &["443", "445", "135", "389", "53", "3389", "88", "5985"]);
        self.one_of("Protocol", &["6", "6", "6", "6", "17"]);
        self.digits("FilterRTID", 65_000, 900);
        self.one_of("LayerName", &["%%14610", "%%14611"]);
        self.one_of("LayerRTID", &["44", "48"]);
        self.text("RemoteUserID", "S-1-0-0");
        self.text("RemoteMachineID", "S-1-0-0");
        self.digits("InterfaceIndex", 0, 12);
        self.text("CompartmentId", "1");
    }

    fn logoff(&mut self) {
        self.subject();
        self.target();
        self.json.number("LogonType", 3);
        self.text("LogonTypeName", "3 - Network");
    }

    fn ticket(&mut self) {
        self.target();
        self.other_machine("ServiceName");
        let company = self.company;
        let sid = &self.random.pick_skewed(&company.accounts).sid;
        self.text("ServiceSid", sid);
        self.one_of("TicketOptions", &["0x40810000", "0x40810010", "0x60810010"]);
        let weak = self.random.one_in(20);
        self.text("TicketEncryptionType", if weak { "0x17" } else { "0x12" });
        let address = self.address();
        self.text("IpAddress", &format!("::ffff:{address}"));
        self.digits("IpPort", 49_152, 16_384);
        self.text("Status", "0x0");
        self.uuid("LogonGuid");
        self.absent(&["TransmittedServices"]);
        self.text("PreAuthType", "2");
    }

    fn access(&mut self) {
        self.subject();
        self.text("ObjectServer", "Security");
        self.one_of("ObjectType", &["File", "Key", "Process"]);
        let (share, document) = (self.random.below(40), self.random.below(5000));
        let extension = *self.random.pick(&["docx", "xlsx", "pdf"]);
        let name = format!("D:\\Shares\\dept{share}\\{}\\doc{document}.{extension}", self.account.user);
        self.text("ObjectName", &name);
        let handle = 4 * self.random.below(2000);
        self.hex("HandleId", handle);
        self.one_of("AccessList", &["%%4416", "%%4417", "%%1537"]);
        self.one_of("AccessMask", &["0x1", "0x2", "0x10000"]);
        self.process_id("ProcessId");
        self.program("ProcessName");
        self.text("ResourceAttributes", "S:AI");
    }
}
