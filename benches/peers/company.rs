//! The invented company that the security events tell of: its machines, people and programs.

use super::draw::Random;

const DOMAINS: [&str; 5] = ["CORP", "EMEA", "APAC", "DMZ", "NT AUTHORITY"];

const FOLDERS: [&str; 6] = [
    "C:\\Windows\\System32",
    "C:\\Windows\\SysWOW64",
    "C:\\Program Files\\Common Files",
    "C:\\Program Files (x86)\\Vendor\\Agent",
    "C:\\ProgramData\\Pkg\\bin",
    "C:\\Users\\Public\\Tools",
];

const PROGRAMS: [&str; 15] = [
    "svchost",
    "cmd",
    "powershell",
    "conhost",
    "wmiprvse",
    "msiexec",
    "rundll32",
    "taskhostw",
    "sqlservr",
    "w3wp",
    "HealthService",
    "MonitoringHost",
    "explorer",
    "lsass",
    "python",
];

pub struct Machine {
    pub name: String,
    pub short: String,
    pub id: String,
    pub resource: String,
    pub subscription: usize,
    pub address: String,
    /// Where its event record numbers start.
    pub records: u64,
}

pub struct Account {
    pub user: String,
    pub domain: &'static str,
    pub full: String,
    pub sid: String,
    pub is_machine: bool,
}

/// One company's machines, people and programs.
pub struct Company {
    pub tenant: String,
    pub group: String,
    pub subscriptions: Vec<String>,
    pub machines: Vec<Machine>,
    pub accounts: Vec<Account>,
    pub programs: Vec<String>,
}

impl Company {
    pub fn new() -> Self {
        let random = &mut Random::new("company", 0);
        let (tenant, group) = (random.uuid(), random.uuid());
        let subscriptions: Vec<String> = (0..4).map(|_| random.uuid()).collect();
        let machines: Vec<Machine> = (0..500).map(|number| machine(number, &subscriptions, random)).collect();
        let accounts = (0..5000).map(|number| account(number, &machines, random)).collect();
        let programs = (0..2000)
            .map(|number| match (PROGRAMS[number % 15], number) {
                (base, 0..15) => format!("C:\\Windows\\System32\\{base}.exe"),
                (base, _) => format!("{}\\{base}{number}.exe", random.pick(&FOLDERS)),
            })
            .collect();
        Company { tenant, group, subscriptions, machines, accounts, programs }
    }
}

fn machine(number: u64, subscriptions: &[String], random: &mut Random) -> Machine {
    let subscription = random.below(4) as usize;
    let domain = random.below(4);
    let kind = ["DC", "SQL", "WEB", "APP", "FS", "WKS"][number as usize % 6];
    let short = format!("{kind}{number:04}");
    let low = DOMAINS[domain as usize].to_lowercase();
    Machine {
        name: format!("{short}.{low}.contoso.example"),
        id: random.uuid(),
        resource: format!(
            "/subscriptions/{}/resourcegroups/rg-{low}-{}/providers/microsoft.compute/virtualmachines/{}",
            subscriptions[subscription],
            kind.to_lowercase(),
            short.to_lowercase()
        ),
        short,
        subscription,
        address: format!("10.{}.{}.{}", domain + 10, number / 250, number % 250 + 1),
        records: 1_000_000 + random.below(50_000_000),
    }
}

fn account(number: usize, machines: &[Machine], random: &mut Random) -> Account {
    let is_machine = number.is_multiple_of(3);
    let place = random.below(4) as usize;
    let user = if is_machine {
        format!("{}$", machines[number / 3 % machines.len()].short)
    } else {
        format!("{}{number:04}", ["adm.", "svc_", "j.", "m.", "user"][number % 5])
    };
    Account {
        full: format!("{}\\{user}", DOMAINS[place]),
        user,
        domain: DOMAINS[place],
        sid: format!(
            "S-1-5-21-{}-{}-682003330-{}",
            1_004_336_348 + place * 777,
            1_177_238_915 + place * 31,
            1100 + number
        ),
        is_machine,
    }
}

/// The file name of a program.
pub fn short(program: &str) -> &str {
    program.rsplit('\\').next().unwrap_or(program)
}
