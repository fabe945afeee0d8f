//! Real servers for the stores of stories: started once for all of them, on ports that the system chooses, and stopped
//! when this process ends, however it ends.
//!
//! What they need is installed once, at pinned versions (`tests/servers`), into a cache outside the clone. Where a server
//! cannot be had, its stories are skipped, which is said past the test harness's capture and counted in the file that
//! `$HOLDFAST_SKIPPED` names: a skipped story is not a passed one.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use holdfast::settings::StoreOptions;
use holdfast::storage::{Missing, Store, open};
use http::Method;
use object_store::ClientOptions;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use object_store::client::{HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use url::Url;

/// The account and key that Azurite documents.
const AZURE_ACCOUNT: &str = "devstoreaccount1";
const AZURE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const BUCKET: &str = "holdfast-stories";

/// A running server with one bucket.
#[derive(Debug)]
pub struct Server {
    pub name: &'static str,
    scheme: &'static str,
    pub options: StoreOptions,
    bucket: &'static str,
    folders: Arc<AtomicU64>,
    /// Ends with its stdin.
    _process: Arc<Child>,
}

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// moto: S3, signatures unchecked.
    S3,
    /// Azurite.
    Azure,
    /// A double of what is used of Google Cloud Storage: there is no server to be had.
    Google,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::S3, Kind::Azure, Kind::Google];

    /// The server, started if it was not yet. None: it cannot be had, and the story is skipped.
    pub fn server(self, story: &str) -> Option<Arc<Server>> {
        static SERVERS: [OnceLock<Result<Arc<Server>, String>>; 3] = [const { OnceLock::new() }; 3];
        let server = SERVERS[self as usize].get_or_init(|| Server::start(self).map(Arc::new));
        match server {
            Ok(server) => Some(Arc::clone(server)),
            Err(why) => {
                skip(story, self, why);
                None
            }
        }
    }
}

fn skip(story: &str, kind: Kind, why: &str) {
    let line = format!("SKIPPED: {story} on {kind:?}: {}\n", why.trim().replace('\n', " | "));
    // Not captured as what `eprintln!` says is.
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(file) = std::env::var_os("HOLDFAST_SKIPPED") {
        fs::File::options().create(true).append(true).open(file).unwrap().write_all(line.as_bytes()).unwrap();
    }
}

impl Server {
    fn start(kind: Kind) -> Result<Server, String> {
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers");
        let mut command = match kind {
            Kind::S3 => {
                let packages = installed(&files, &["requirements.txt"], &mut |into| {
                    let mut pip = Command::new("python3");
                    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"])
                        .args(["--root-user-action=ignore", "--no-deps", "--only-binary", ":all:", "--target"])
                        .arg(into)
                        .arg("-r")
                        .arg(files.join("requirements.txt"));
                    pip
                })?;
                let mut command = guarded("python3");
                command.args(["-c", "from moto.server import main; main(['-H', '127.0.0.1', '-p', '0'])"]);
                command.env("PYTHONPATH", packages);
                command
            }
            Kind::Azure => {
                let packages = installed(&files, &["package.json", "package-lock.json"], &mut |into| {
                    for file in ["package.json", "package-lock.json"] {
                        fs::copy(files.join(file), into.join(file)).unwrap();
                    }
                    let mut npm = Command::new("npm");
                    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--prefix"]);
                    npm.arg(into);
                    npm
                })?;
                let mut command = guarded("node");
                command.arg(packages.join("node_modules/azurite/dist/src/blob/main.js"));
                command.args(["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]);
                command.args(["--skipApiVersionCheck", "--disableTelemetry"]);
                command
            }
            Kind::Google => {
                let mut command = guarded("python3");
                command.arg(files.join("google.py"));
                command
            }
        };
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot be started: {error}"))?;
        let address = address(&mut process)?;
        let base = Url::parse(&address).map_err(|error| format!("{address}: {error}"))?;
        let env = |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        let mut options = StoreOptions { endpoint: Some(base.clone()), allow_http: true, ..StoreOptions::default() };
        let scheme = match kind {
            Kind::S3 => {
                options.region = Some("us-east-1".into());
                options.environment = env(&[("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret")]);
                ask(Method::PUT, &base.join(BUCKET).unwrap(), false)?;
                "s3"
            }
            Kind::Azure => {
                let account = base.join(AZURE_ACCOUNT).unwrap();
                options.account = Some(AZURE_ACCOUNT.into());
                options.environment = env(&[("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY)]);
                let container = Url::parse(&format!("{account}/{BUCKET}?restype=container")).unwrap();
                options.endpoint = Some(account);
                ask(Method::PUT, &container, true)?;
                "az"
            }
            Kind::Google => {
                let account = serde_json::json!({
                    "gcs_base_url": address, "disable_oauth": true, "client_email": "", "private_key": "",
                    "private_key_id": "",
                });
                options.environment = env(&[("GOOGLE_SERVICE_ACCOUNT_KEY", &account.to_string())]);
                "gs"
            }
        };
        let name = ["moto", "Azurite", "the double of Google Cloud Storage"][kind as usize];
        Ok(Server { name, scheme, options, bucket: BUCKET, folders: Arc::default(), _process: Arc::new(process) })
    }

    /// The URL of a folder that nobody else uses.
    pub fn fresh(&self) -> Url {
        let number = self.folders.fetch_add(1, Ordering::Relaxed);
        Url::parse(&format!("{}://{}/{number}", self.scheme, self.bucket)).unwrap()
    }

    /// The same server, reached by another endpoint.
    pub fn through(&self, endpoint: &Url) -> Arc<Server> {
        let options = StoreOptions { endpoint: Some(endpoint.clone()), ..self.options.clone() };
        let (folders, process) = (Arc::clone(&self.folders), Arc::clone(&self._process));
        Arc::new(Server {
            name: self.name,
            scheme: self.scheme,
            options,
            bucket: self.bucket,
            folders,
            _process: process,
        })
    }

    /// The same server with another bucket, which keeps versions. S3 only.
    pub fn versioned(&self) -> Arc<Server> {
        const VERSIONED: &str = "holdfast-versions";
        let bucket = self.options.endpoint.as_ref().unwrap().join(VERSIONED).unwrap();
        ask(Method::PUT, &bucket, false).unwrap();
        let mut url = bucket;
        url.set_query(Some("versioning"));
        let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        send(
            http::Request::builder()
                .method(Method::PUT)
                .uri(url.as_str())
                .body(HttpRequestBody::from(on.to_owned()))
                .unwrap(),
        )
        .unwrap();
        let (options, folders, process) = (self.options.clone(), Arc::default(), Arc::clone(&self._process));
        Arc::new(Server {
            name: self.name,
            scheme: self.scheme,
            options,
            bucket: VERSIONED,
            folders,
            _process: process,
        })
    }

    /// A header of an object, as this server, which checks no signatures, tells anybody.
    pub fn header(&self, store: &Url, name: &str, header: &str) -> Option<String> {
        let path = format!("{}{}/{name}", self.bucket, store.path());
        let url = self.options.endpoint.as_ref().unwrap().join(&path).unwrap();
        let request = http::Request::builder()
            .method(Method::HEAD)
            .uri(url.as_str())
            .header("authorization", "AWS4-HMAC-SHA256 Credential=key/20240101/us-east-1/s3/aws4_request")
            .body(HttpRequestBody::empty())
            .unwrap();
        Some(send(request).unwrap().get(header)?.to_str().unwrap().to_owned())
    }

    pub fn open(&self, url: &Url, runtime: &Handle) -> Store {
        open(url, &self.options, Missing::Refuse, runtime).unwrap()
    }
}

/// A program that is killed when its stdin, which this process holds, ends.
fn guarded(program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "\"$@\" & child=$!; cat >/dev/null; kill $child", "sh", program]);
    command
}

/// Where it says that it listens; the rest of what it says is read and forgotten.
fn address(process: &mut Child) -> Result<String, String> {
    let (said, heard) = std::sync::mpsc::channel();
    let streams: [Box<dyn Read + Send>; 2] =
        [Box::new(process.stdout.take().unwrap()), Box::new(process.stderr.take().unwrap())];
    for stream in streams {
        let said = said.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = said.send(line);
            }
        });
    }
    drop(said);
    let mut told = String::new();
    for line in heard {
        if let Some(at) = line.find("http://127.0.0.1:") {
            let address = line[at..].split_whitespace().next().unwrap_or_default();
            return Ok(address.trim_end_matches(['/', '.', '!']).to_owned());
        }
        told += &line;
        told.push('\n');
    }
    Err(format!("it ended before it listened: {told}"))
}

/// A folder of the cache with what `install` puts there, done once for these files.
fn installed(files: &Path, pins: &[&str], install: &mut dyn FnMut(&Path) -> Command) -> Result<PathBuf, String> {
    let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let cache = home.ok_or("neither $XDG_CACHE_HOME nor $HOME is set")?.join("holdfast");
    let mut key = Sha256::new();
    for pin in pins {
        key.update(fs::read(files.join(pin)).map_err(|error| format!("{pin}: {error}"))?);
    }
    let folder = cache.join(format!("server-{}", &hex::encode(key.finalize())[..16]));
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
    let new = tempfile::Builder::new().prefix("server-new.").tempdir_in(&cache).map_err(|error| error.to_string())?;
    let done = install(new.path()).stdin(Stdio::null()).output().map_err(|error| format!("installing it: {error}"))?;
    if !done.status.success() {
        return Err(format!("installing it failed: {}", String::from_utf8_lossy(&done.stderr)));
    }
    // Should another process have been quicker, its folder is as good.
    match fs::rename(new.keep(), &folder) {
        Err(error) if !folder.is_dir() => Err(format!("{}: {error}", folder.display())),
        _ => Ok(folder),
    }
}

/// One request without a body, which must succeed.
fn ask(method: Method, url: &Url, is_azure: bool) -> Result<(), String> {
    let request = http::Request::builder().method(method).uri(url.as_str()).header("content-length", "0");
    let mut request = request.body(HttpRequestBody::empty()).map_err(|error| error.to_string())?;
    if is_azure {
        let key = AzureAccessKey::try_new(AZURE_KEY).map_err(|error| error.to_string())?;
        AzureAuthorizer::new(&AzureCredential::AccessKey(key), AZURE_ACCOUNT).authorize(&mut request);
    }
    send(request).map(drop)
}

/// The headers of the answer to a request, which must succeed.
fn send(request: HttpRequest) -> Result<http::HeaderMap, String> {
    let url = request.uri().to_string();
    let client = ReqwestConnector::default().connect(&ClientOptions::new().with_allow_http(true));
    let client = client.map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let answer = runtime.block_on(client.execute(request)).map_err(|error| format!("{url}: {error}"))?;
    if answer.status().is_success() { Ok(answer.headers().clone()) } else { Err(format!("{url}: {}", answer.status())) }
}
