//! The invented organisation whose CloudTrail is written: accounts, roles, users, buckets, and the sessions of an hour.
//!
//! All names, numbers and addresses are made up (documentation networks and example names).

use super::draw::{Random, SECOND, Ticks};

pub const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
pub const BASE36: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
pub const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const REGIONS: [&str; 5] = ["us-east-1", "eu-central-1", "eu-west-1", "us-west-2", "ap-southeast-2"];
const TEAMS: [&str; 10] =
    ["billing", "checkout", "data-lake", "identity", "logging", "mobile", "orders", "platform", "search", "security"];
const DUTIES: [&str; 8] = ["deploy", "reader", "worker", "api", "etl", "backup", "admin", "node-instance"];
const SERVICES: [&str; 6] = [
    "ec2.amazonaws.com",
    "lambda.amazonaws.com",
    "ecs-tasks.amazonaws.com",
    "config.amazonaws.com",
    "autoscaling.amazonaws.com",
    "secretsmanager.amazonaws.com",
];

pub struct Role {
    pub name: String,
    pub account: usize,
    pub principal: String,
    pub arn: String,
}

pub struct User {
    pub name: String,
    pub account: usize,
    pub principal: String,
    pub access_key: String,
}

/// Who acts.
pub enum Who<'o> {
    Role(&'o Role),
    User(&'o User),
    Service(&'static str),
}

/// Someone at work for up to an hour.
pub struct Session<'o> {
    pub who: Who<'o>,
    /// Of an assumed role: what the caller called it.
    pub name: String,
    pub access_key: String,
    pub since: Ticks,
    pub mfa: bool,
    pub account: usize,
    pub region: &'static str,
    pub address: String,
    pub agent: String,
    /// Set when requests pass a VPC endpoint.
    pub endpoint: Option<&'o str>,
}

pub struct Organisation {
    pub accounts: Vec<String>,
    pub roles: Vec<Role>,
    pub users: Vec<User>,
    pub buckets: Vec<String>,
    /// KMS keys: ARNs.
    pub keys: Vec<String>,
    pub functions: Vec<String>,
    pub instances: Vec<String>,
    pub addresses: Vec<String>,
    pub agents: Vec<String>,
    pub endpoints: Vec<String>,
}

impl Organisation {
    pub fn new() -> Self {
        let random = &mut Random::new("organisation", 0);
        let accounts: Vec<String> =
            (0..12).map(|_| (100_000_000_000 + random.below(900_000_000_000)).to_string()).collect();
        let roles = (0..300).map(|number| role(number, &accounts, random)).collect();
        let users = (0..120).map(|number| user(number, random)).collect();
        let buckets = (0..250)
            .map(|number| {
                let team = TEAMS[number % TEAMS.len()];
                let what = random.pick(&["raw", "curated", "artifacts", "logs", "backup", "uploads"]);
                format!("example-{team}-{what}-{}-{number:03}", random.pick(&["prod", "stage", "dev"]))
            })
            .collect();
        let keys = (0..90)
            .map(|_| {
                let (region, account) = (*random.pick_skewed(&REGIONS), random.pick_skewed(&accounts));
                format!("arn:aws:kms:{region}:{account}:key/{}", random.uuid())
            })
            .collect();
        let functions = (0..140)
            .map(|number| {
                format!("{}-{}-{number}", random.pick(&TEAMS), random.pick(&["on-upload", "resize", "notify", "sync"]))
            })
            .collect();
        let instances = (0..900).map(|_| format!("i-0{:016x}", random.next() >> 4)).collect();
        let addresses = (0..1500)
            .map(|number| match number % 4 {
                0..=1 => format!("10.{}.{}.{}", random.below(40), random.below(256), 1 + random.below(254)),
                2 => format!("203.0.113.{}", random.below(256)),
                _ => format!("198.51.{}.{}", 100 + random.below(2), random.below(256)),
            })
            .collect();
        let agents = (0..60).map(|number| agent(number, random)).collect();
        let endpoints = (0..14).map(|_| format!("vpce-0{:016x}", random.next() >> 4)).collect();
        Organisation { accounts, roles, users, buckets, keys, functions, instances, addresses, agents, endpoints }
    }

    /// The sessions that are open in the hour from `start` on; the first ones do most of the work.
    pub fn sessions<'o>(&'o self, start: Ticks, random: &mut Random) -> Vec<Session<'o>> {
        (0..700)
            .map(|_| {
                let who = match random.below(20) {
                    0..=13 => Who::Role(random.pick_skewed(&self.roles)),
                    14..=16 => Who::User(random.pick_skewed(&self.users)),
                    _ => {
                        let service = *random.pick_skewed(&SERVICES);
                        Who::Service(service)
                    }
                };
                self.session(who, start, random)
            })
            .collect()
    }

    fn session<'o>(&'o self, who: Who<'o>, start: Ticks, random: &mut Random) -> Session<'o> {
        let address = random.pick_skewed(&self.addresses).clone();
        let agent = random.pick_skewed(&self.agents).clone();
        let name = match random.below(4) {
            0 => random.pick_skewed(&self.instances).clone(),
            1 => format!("{}@corp.example", random.pick_skewed(&self.users).name),
            2 => format!("botocore-session-{}", start / SECOND + random.below(3600) as Ticks),
            _ => random.pick_skewed(&self.functions).clone(),
        };
        let (account, access_key, address, agent) = match &who {
            Who::Role(role) => (role.account, format!("ASIA{}", random.letters(BASE32, 16)), address, agent),
            Who::User(user) => (user.account, user.access_key.clone(), address, agent),
            Who::Service(service) => {
                let account = random.skewed(self.accounts.len() as u64) as usize;
                (account, String::new(), (*service).to_owned(), (*service).to_owned())
            }
        };
        let since = start - random.below(3600 * SECOND as u64) as Ticks;
        let mfa = random.one_in(5);
        let region = *random.pick_skewed(&REGIONS);
        let endpoint = if random.one_in(4) { Some(random.pick_skewed(&self.endpoints).as_str()) } else { None };
        Session { who, name, access_key, since, mfa, account, region, address, agent, endpoint }
    }
}

fn role(number: usize, accounts: &[String], random: &mut Random) -> Role {
    let account = random.skewed(accounts.len() as u64) as usize;
    let name = format!("{}-{}-{number}", TEAMS[number % TEAMS.len()], random.pick(&DUTIES));
    let arn = format!("arn:aws:iam::{}:role/{name}", accounts[account]);
    Role { name, account, principal: format!("AROA{}", random.letters(BASE32, 17)), arn }
}

fn user(number: usize, random: &mut Random) -> User {
    let first = random.pick(&["alex", "blake", "casey", "dana", "eli", "frankie", "gray", "harper", "ira", "jules"]);
    User {
        name: format!("{first}.{number:03}"),
        account: random.skewed(12) as usize,
        principal: format!("AIDA{}", random.letters(BASE32, 17)),
        access_key: format!("AKIA{}", random.letters(BASE32, 16)),
    }
}

fn agent(number: u64, random: &mut Random) -> String {
    let (minor, patch) = (random.below(40), random.below(200));
    match number % 6 {
        0 => format!(
            "[Boto3/1.{minor}.{patch} md/Botocore#1.{minor}.{patch} ua/2.0 os/linux#5.10.{patch}-200.amzn2.x86_64 \
             md/arch#x86_64 lang/python#3.11.{} md/pyimpl#CPython cfg/retry-mode#standard]",
            minor % 9
        ),
        1 => format!(
            "aws-sdk-java/2.{minor}.{patch} Linux/5.15.{patch} OpenJDK_64-Bit_Server_VM/17.0.{minor} Java/17.0.{minor} vendor/Amazon.com_Inc. io/sync http/Apache cfg/retry-mode/legacy"
        ),
        2 => format!(
            "aws-cli/2.{minor}.{patch} Python/3.11.6 Linux/6.1.{patch} exe/x86_64.amzn.2023 prompt/off command/s3.cp"
        ),
        3 => format!(
            "APN/1.0 HashiCorp/1.0 Terraform/1.{minor}.{} (+https://www.terraform.io) terraform-provider-aws/5.{minor}.0 aws-sdk-go/1.44.{patch} (go1.20; linux; amd64)",
            patch % 10
        ),
        4 => format!(
            "aws-sdk-go-v2/1.{minor}.{} os/linux lang/go#1.21.{} md/GOOS#linux md/GOARCH#arm64 api/dynamodb#1.{minor}.2",
            patch % 12,
            patch % 9
        ),
        _ => format!(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1{minor:02}.0.0.0 Safari/537.36"
        ),
    }
}
