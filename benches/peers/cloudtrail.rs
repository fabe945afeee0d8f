//! CloudTrail as an organisation of twelve accounts delivers it, one record a line: nested identities, request
//! parameters that differ from call to call, times of whole seconds, up to five minutes out of order.
//!
//! What is random in real records is random here: ids, keys, session tokens, the request ids of S3. They are most of what
//! remains of a record once it is compressed.

use super::cloud::{BASE36, BASE64, Organisation, Session, Who};
use super::draw::{Ndjson, Random, SECOND, Ticks};
use super::sets::Facts;

/// Records of an hour.
pub const HOURLY: u64 = 19_300;

/// Columns in the order of records: `:t` a time, `:i` an integer, `:b` a Boolean, `:n` nested, else text.
pub const COLUMNS: &str = "eventVersion userIdentity:n eventTime:t eventSource eventName awsRegion sourceIPAddress userAgent errorCode \
    errorMessage requestParameters:n responseElements:n additionalEventData:n requestID eventID readOnly:b \
    resources:n eventType apiVersion managementEvent:b recipientAccountId vpcEndpointId sharedEventID eventCategory \
    tlsDetails:n sessionCredentialFromConsole";

/// What a call is about, which decides its parameters.
#[derive(Clone, Copy, PartialEq)]
pub enum About {
    Object,
    Bucket,
    Role,
    Key,
    Listing,
    Launch,
    Stream,
    Parameter,
    Function,
    Policy,
    Login,
    Caller,
}

/// Service, call, what it is about, whether it only reads, how many of a thousand.
const CALLS: [(&str, &str, About, bool, u64); 27] = [
    ("s3", "GetObject", About::Object, true, 190),
    ("s3", "PutObject", About::Object, false, 85),
    ("s3", "HeadObject", About::Object, true, 55),
    ("s3", "DeleteObject", About::Object, false, 12),
    ("s3", "ListObjects", About::Bucket, true, 30),
    ("s3", "GetBucketAcl", About::Bucket, true, 18),
    ("s3", "GetBucketLocation", About::Bucket, true, 14),
    ("sts", "AssumeRole", About::Role, true, 95),
    ("sts", "GetCallerIdentity", About::Caller, true, 25),
    ("kms", "Decrypt", About::Key, true, 125),
    ("kms", "GenerateDataKey", About::Key, true, 45),
    ("ec2", "DescribeInstances", About::Listing, true, 55),
    ("ec2", "DescribeVolumes", About::Listing, true, 20),
    ("ec2", "DescribeNetworkInterfaces", About::Listing, true, 25),
    ("ec2", "DescribeSecurityGroups", About::Listing, true, 18),
    ("ec2", "RunInstances", About::Launch, false, 6),
    ("logs", "CreateLogStream", About::Stream, false, 38),
    ("logs", "DescribeLogStreams", About::Stream, true, 12),
    ("ssm", "GetParameter", About::Parameter, true, 24),
    ("ssm", "GetParametersByPath", About::Parameter, true, 14),
    ("secretsmanager", "GetSecretValue", About::Parameter, true, 22),
    ("lambda", "Invoke", About::Function, false, 36),
    ("lambda", "GetFunction20150331v2", About::Function, true, 8),
    ("iam", "GetRole", About::Policy, true, 14),
    ("iam", "ListAttachedRolePolicies", About::Policy, true, 9),
    ("iam", "AttachRolePolicy", About::Policy, false, 1),
    ("signin", "ConsoleLogin", About::Login, false, 4),
];

/// The generator.
pub struct Trail(Organisation);

impl Trail {
    pub fn new() -> Self {
        Trail(Organisation::new())
    }

    /// The records of one hour from `start` on; none is older than `first`.
    pub fn hour(&self, hour: u64, start: Ticks, first: Ticks, count: u64, out: &mut Ndjson, facts: &mut Facts) {
        let mut random = Random::new("cloudtrail", hour);
        let sessions = self.0.sessions(start, &mut random);
        for index in 0..count {
            let at = start + (index * 3600 / count) as Ticks * SECOND - random.below(300) as Ticks * SECOND;
            let session = random.pick_skewed(&sessions);
            let call = Call { organisation: &self.0, random: &mut random, json: out, session, at: at.max(first) };
            let bucket = call.write();
            facts.saw(at.max(first), &session.address, bucket);
        }
    }
}

/// One record.
pub struct Call<'c> {
    pub organisation: &'c Organisation,
    pub random: &'c mut Random,
    pub json: &'c mut Ndjson,
    pub session: &'c Session<'c>,
    pub at: Ticks,
}

impl<'c> Call<'c> {
    /// Writes the record and returns the bucket it names.
    fn write(mut self) -> Option<&'c str> {
        let (service, name, about, reads, _) = CALLS[self.random.weighted(CALLS.iter().map(|call| call.4))];
        let session = self.session;
        let account = &self.organisation.accounts[session.account];
        let host = format!("{service}.{}.amazonaws.com", session.region);
        let failed = self.random.one_in(24);
        self.json.open();
        self.text("eventVersion", "1.09");
        self.identity();
        self.json.time("eventTime", self.at, false);
        self.text("eventSource", &format!("{service}.amazonaws.com"));
        self.text("eventName", name);
        self.text("awsRegion", session.region);
        self.text("sourceIPAddress", &session.address);
        self.text("userAgent", &session.agent);
        if failed {
            self.error(service, name);
        }
        let bucket = self.parameters(about, name, failed);
        if service == "s3" {
            self.additional(name);
        }
        let request = match service {
            "s3" => self.random.letters(BASE36, 16),
            _ => self.random.uuid(),
        };
        self.text("requestID", &request);
        self.uuid("eventID");
        self.json.boolean("readOnly", reads);
        self.resources(about, account, bucket);
        self.text("eventType", if about == About::Login { "AwsConsoleSignIn" } else { "AwsApiCall" });
        if service == "lambda" || name.starts_with("GetFunction") {
            self.text("apiVersion", "2015-03-31");
        }
        let data = matches!(about, About::Object) || name == "Invoke";
        self.json.boolean("managementEvent", !data);
        self.text("recipientAccountId", account);
        if matches!(session.who, Who::Service(_)) {
            self.uuid("sharedEventID");
        }
        if let Some(endpoint) = session.endpoint {
            self.text("vpcEndpointId", endpoint);
        }
        self.text("eventCategory", if data { "Data" } else { "Management" });
        if !matches!(session.who, Who::Service(_)) {
            self.json.object("tlsDetails");
            self.text("tlsVersion", "TLSv1.3");
            self.text("cipherSuite", "TLS_AES_128_GCM_SHA256");
            match bucket {
                Some(bucket) => self.text("clientProvidedHostHeader", &format!("{bucket}.{host}")),
                None => self.text("clientProvidedHostHeader", &host),
            }
            self.json.close();
            if session.mfa {
                self.text("sessionCredentialFromConsole", "true");
            }
        }
        self.json.end_record();
        bucket
    }

    pub fn text(&mut self, key: &str, value: &str) {
        self.json.text(key, value);
    }

    pub fn uuid(&mut self, key: &str) {
        let value = self.random.uuid();
        self.json.text(key, &value);
    }

    fn identity(&mut self) {
        let session = self.session;
        let account = &self.organisation.accounts[session.account];
        self.json.object("userIdentity");
        match session.who {
            Who::Role(role) => {
                self.text("type", "AssumedRole");
                self.text("principalId", &format!("{}:{}", role.principal, session.name));
                self.text("arn", &format!("arn:aws:sts::{account}:assumed-role/{}/{}", role.name, session.name));
                self.text("accountId", account);
                self.text("accessKeyId", &session.access_key);
                self.json.object("sessionContext");
                self.json.object("sessionIssuer");
                self.text("type", "Role");
                self.text("principalId", &role.principal);
                self.text("arn", &role.arn);
                self.text("accountId", account);
                self.text("userName", &role.name);
                self.json.close();
                self.json.object("webIdFederationData");
                self.json.close();
                self.attributes();
                self.json.close();
            }
            Who::User(user) => {
                self.text("type", "IAMUser");
                self.text("principalId", &user.principal);
                self.text("arn", &format!("arn:aws:iam::{account}:user/{}", user.name));
                self.text("accountId", account);
                self.text("accessKeyId", &session.access_key);
                self.text("userName", &user.name);
                if session.mfa {
                    self.json.object("sessionContext");
                    self.attributes();
                    self.json.close();
                }
            }
            Who::Service(service) => {
                self.text("type", "AWSService");
                self.text("invokedBy", service);
            }
        }
        self.json.close();
    }

    fn attributes(&mut self) {
        self.json.object("attributes");
        self.json.time("creationDate", self.session.since, false);
        self.text("mfaAuthenticated", if self.session.mfa { "true" } else { "false" });
        self.json.close();
    }

    fn error(&mut self, service: &str, name: &str) {
        let who = match self.session.who {
            Who::Role(role) => role.arn.clone(),
            Who::User(user) => user.name.clone(),
            Who::Service(service) => service.to_owned(),
        };
        match self.random.below(4) {
            0 => {
                self.text("errorCode", "ThrottlingException");
                self.text("errorMessage", "Rate exceeded");
            }
            1 if service == "s3" => {
                self.text("errorCode", "NoSuchKey");
                self.text("errorMessage", "The specified key does not exist.");
            }
            _ => {
                let message = format!(
                    "User: {who} is not authorized to perform: {service}:{name} because no identity-based policy allows the \
                     {service}:{name} action"
                );
                self.text("errorCode", if service == "ec2" { "Client.UnauthorizedOperation" } else { "AccessDenied" });
                self.text("errorMessage", &message);
            }
        }
    }

    /// What S3 says of a request.
    fn additional(&mut self, name: &str) {
        let sent = if name == "PutObject" { self.random.skewed(1 << 24) } else { 0 };
        let received = if name == "GetObject" { self.random.skewed(1 << 26) } else { self.random.skewed(900) };
        let id = self.random.letters(BASE64, 75);
        self.json.object("additionalEventData");
        self.text("SignatureVersion", "SigV4");
        self.text("CipherSuite", "TLS_AES_128_GCM_SHA256");
        self.json.number("bytesTransferredIn", sent);
        self.text("AuthenticationMethod", "AuthHeader");
        self.text("x-amz-id-2", &format!("{id}="));
        self.json.number("bytesTransferredOut", received);
        self.json.close();
    }

    fn resources(&mut self, about: About, account: &str, bucket: Option<&str>) {
        let (kind, arn) = match (about, bucket) {
            (_, Some(bucket)) => ("AWS::S3::Bucket", format!("arn:aws:s3:::{bucket}")),
            (About::Key, _) => ("AWS::KMS::Key", self.random.pick_skewed(&self.organisation.keys).clone()),
            (About::Role, _) => ("AWS::IAM::Role", self.random.pick_skewed(&self.organisation.roles).arn.clone()),
            _ => return,
        };
        self.json.array("resources");
        self.json.open();
        self.text("accountId", account);
        self.text("type", kind);
        self.text("ARN", &arn);
        self.json.close();
        self.json.end_array();
    }
}
