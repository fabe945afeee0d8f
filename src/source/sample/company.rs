//! The invented company whose log the samples are: its machines, people and programs.

use super::random::Random;

pub(super) struct Machine {
    pub(super) name: String,
    pub(super) short: String,
    pub(super) resource: String,
    pub(super) subscription: usize,
    pub(super) id: String,
    pub(super) address: String,
    pub(super) records: u64,
}

pub(super) struct Account {
    pub(super) user: String,
    pub(super) domain: &'static str,
    pub(super) sid: String,
    pub(super) is_machine: bool,
}

const DOMAINS: [&str; 3] = ["CORP", "SALES", "PLANT"];

pub(super) fn machines(subscriptions: &[String; 3], random: &mut Random) -> Vec<Machine> {
    (0..400).map(|index| machine(index, subscriptions, random)).collect()
}

/// People, services and the machines' own accounts.
pub(super) fn accounts(machines: &[Machine]) -> Vec<Account> {
    (0..3000)
        .map(|index| {
            let is_machine = index % 4 == 1;
            let user = match index % 4 {
                0 => format!("user{index:04}"),
                1 => format!("{}$", machines[index / 4 % machines.len()].short),
                2 => format!("anna.example{index}"),
                _ => format!("svc-backup{index}"),
            };
            let domain = DOMAINS[index % DOMAINS.len()];
            let sid =
                format!("S-1-5-21-{}-{}-{}-{}", 1_004_336_348 + index % 3, 1_177_238_915, 682_003_330, 1100 + index);
            Account { user, domain, sid, is_machine }
        })
        .collect()
}

fn machine(index: usize, subscriptions: &[String; 3], random: &mut Random) -> Machine {
    let role = ["dc", "sql", "web", "app", "file", "ws"][index % 6];
    let short = format!("{}{index:03}", role.to_uppercase());
    let domain = DOMAINS[index % DOMAINS.len()].to_lowercase();
    let subscription = index % subscriptions.len();
    Machine {
        name: format!("{short}.{domain}.example"),
        resource: format!(
            "/subscriptions/{}/resourcegroups/rg-{domain}-{role}/providers/microsoft.compute/virtualmachines/{}",
            subscriptions[subscription],
            short.to_lowercase()
        ),
        short,
        subscription,
        id: random.uuid_text(),
        address: format!("10.{}.{}.{}", 10 + index % 3, index / 200, 1 + index % 200),
        records: 1_000_000 + random.below(50_000_000),
    }
}

/// Paths of the programs that run there.
pub(super) fn programs(random: &mut Random) -> Vec<String> {
    const SYSTEM: [&str; 12] = [
        "svchost",
        "cmd",
        "powershell",
        "conhost",
        "wmiprvse",
        "msiexec",
        "rundll32",
        "taskhostw",
        "lsass",
        "services",
        "sqlservr",
        "w3wp",
    ];
    const FOLDERS: [&str; 4] = [
        "C:\\Program Files\\Example Agent",
        "C:\\Program Files (x86)\\Tools",
        "C:\\ProgramData\\Updates",
        "C:\\Windows\\Temp",
    ];
    let system = SYSTEM.iter().map(|name| format!("C:\\Windows\\System32\\{name}.exe"));
    let others: Vec<String> =
        (0..600).map(|index| format!("{}\\{}{index}.exe", random.pick(&FOLDERS), random.pick(&SYSTEM))).collect();
    system.chain(others).collect()
}
