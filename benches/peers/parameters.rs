//! What calls to an interface ask for and get: the parameters and answers of CloudTrail records, different for each call.

use super::cloud::{BASE32, BASE64};
use super::cloudtrail::{About, Call};

impl<'c> Call<'c> {
    /// `requestParameters` and `responseElements`; the bucket they name.
    pub fn parameters(&mut self, about: About, name: &str, failed: bool) -> Option<&'c str> {
        let organisation = self.organisation;
        let account = &organisation.accounts[self.session.account];
        if matches!(about, About::Caller | About::Login) {
            self.json.null("requestParameters");
        } else {
            self.json.object("requestParameters");
        }
        let mut bucket = None;
        match about {
            About::Object | About::Bucket => {
                let named = self.random.pick_skewed(&organisation.buckets).as_str();
                self.text("bucketName", named);
                self.text("Host", &format!("{named}.s3.{}.amazonaws.com", self.session.region));
                if about == About::Object {
                    let key = self.object_key();
                    self.text("key", &key);
                } else if name == "ListObjects" {
                    self.text("list-type", "2");
                    self.text("prefix", "year=2026/month=01/");
                    self.text("encoding-type", "url");
                } else {
                    self.text(if name == "GetBucketAcl" { "acl" } else { "location" }, "");
                }
                bucket = Some(named);
            }
            About::Role => {
                let role = self.random.pick_skewed(&organisation.roles);
                self.text("roleArn", &role.arn);
                self.text("roleSessionName", &self.session.name);
                self.json.number("durationSeconds", 3600);
            }
            About::Key => {
                let key = self.random.pick_skewed(&organisation.keys);
                self.text(
                    if name == "Decrypt" { "encryptionAlgorithm" } else { "keySpec" },
                    if name == "Decrypt" { "SYMMETRIC_DEFAULT" } else { "AES_256" },
                );
                self.text("keyId", key);
                self.json.object("encryptionContext");
                let bucket = self.random.pick_skewed(&organisation.buckets);
                self.text("aws:s3:arn", &format!("arn:aws:s3:::{bucket}"));
                self.json.close();
            }
            About::Listing => self.listing(),
            About::Launch => self.launch(),
            About::Stream => {
                let function = self.random.pick_skewed(&organisation.functions);
                self.text("logGroupName", &format!("/aws/lambda/{function}"));
                let stream = format!("2026/01/05/[$LATEST]{:016x}{:016x}", self.random.next(), self.random.next());
                self.text("logStreamName", &stream);
            }
            About::Parameter => {
                let function = self.random.pick_skewed(&organisation.functions);
                self.text(
                    if name == "GetSecretValue" { "secretId" } else { "name" },
                    &format!("/prod/{function}/database-url"),
                );
                self.json.boolean("withDecryption", true);
            }
            About::Function => {
                let function = self.random.pick_skewed(&organisation.functions);
                self.text(
                    "functionName",
                    &format!("arn:aws:lambda:{}:{account}:function:{function}", self.session.region),
                );
                self.text("invocationType", "Event");
            }
            About::Policy => {
                let role = self.random.pick_skewed(&organisation.roles);
                self.text("roleName", &role.name);
                if name == "AttachRolePolicy" {
                    self.text("policyArn", "arn:aws:iam::aws:policy/ReadOnlyAccess");
                }
            }
            About::Caller | About::Login => {}
        }
        if !matches!(about, About::Caller | About::Login) {
            self.json.close();
        }
        self.response(about, name, failed);
        bucket
    }

    fn object_key(&mut self) -> String {
        let random = &mut *self.random;
        match random.below(3) {
            0 => format!(
                "year=2026/month=01/day=05/hour={:02}/part-{:05}-{}.snappy.parquet",
                random.below(24),
                random.below(400),
                random.uuid()
            ),
            1 => format!(
                "releases/{}/{}.{}.{}/bundle.tar.gz",
                random.pick(&["web", "api", "worker"]),
                random.below(9),
                random.below(40),
                random.below(200)
            ),
            _ => format!("uploads/{:02x}/{:02x}/{:016x}.jpg", random.below(256), random.below(256), random.next()),
        }
    }

    fn listing(&mut self) {
        let organisation = self.organisation;
        let count = self.random.below(4);
        self.json.object("instancesSet");
        self.json.array("items");
        for _ in 0..count {
            let instance = self.random.pick_skewed(&organisation.instances);
            self.json.open();
            self.text("instanceId", instance);
            self.json.close();
        }
        self.json.end_array();
        self.json.close();
        self.json.object("filterSet");
        if self.random.one_in(2) {
            self.json.array("items");
            self.json.open();
            self.text("name", "tag:Environment");
            self.json.object("valueSet");
            self.json.array("items");
            self.json.open();
            self.text("value", "production");
            self.json.close();
            self.json.end_array();
            self.json.close();
            self.json.close();
            self.json.end_array();
        }
        self.json.close();
        self.json.number("maxResults", 1000);
    }

    fn launch(&mut self) {
        self.json.object("instancesSet");
        self.json.array("items");
        self.json.open();
        let image = format!("ami-0{:016x}", self.random.skewed(40).wrapping_mul(0x9e37_79b9_7f4a) & 0xf_ffff_ffff_ffff);
        self.text("imageId", &image);
        self.json.number("minCount", 1);
        self.json.number("maxCount", 1 + self.random.below(4));
        self.json.close();
        self.json.end_array();
        self.json.close();
        let kind = *self.random.pick_skewed(&["t3.micro", "m6i.large", "c6g.xlarge", "r6i.2xlarge"]);
        self.text("instanceType", kind);
        self.json.object("monitoring");
        self.json.boolean("enabled", false);
        self.json.close();
        self.json.boolean("disableApiTermination", false);
        self.uuid("clientToken");
        self.json.boolean("ebsOptimized", true);
    }

    fn response(&mut self, about: About, name: &str, failed: bool) {
        if about == About::Login {
            self.json.object("responseElements");
            self.text("ConsoleLogin", if failed { "Failure" } else { "Success" });
            self.json.close();
        } else if name == "AssumeRole" && !failed {
            let key = format!("ASIA{}", self.random.letters(BASE32, 16));
            let role = self.random.letters(BASE32, 17);
            let token = format!("IQoJb3JpZ2luX2Vj{}", self.random.letters(BASE64, 400));
            self.json.object("responseElements");
            self.json.object("credentials");
            self.text("accessKeyId", &key);
            self.text("sessionToken", &token);
            self.text("expiration", "Jan 5, 2026, 11:00:00 AM");
            self.json.close();
            self.json.object("assumedRoleUser");
            self.text("assumedRoleId", &format!("AROA{role}:{}", self.session.name));
            self.json.close();
            self.json.close();
        } else if name == "PutObject" && !failed {
            self.json.object("responseElements");
            self.text("x-amz-server-side-encryption", "AES256");
            self.json.close();
        } else {
            self.json.null("responseElements");
        }
    }
}
