//! Opening an object store of a cloud: its URL, the settings' options, the environment, in one client that counts.
//!
//! What the settings say goes before the environment. Credentials come from the environment or the platform's identity,
//! as `object_store` finds them; no code here ever sees one.

use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::HttpConnector;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, Result, RetryConfig};
use url::Url;

use super::direct::{Cloud, Direct};
use super::patient::Patient;
use super::traffic::{Counted, Traffic};
use crate::settings::StoreOptions;

/// An opened store; nothing was asked of it yet.
pub(super) struct Opened {
    pub store: Arc<dyn ObjectStore>,
    pub direct: Direct,
    pub traffic: Arc<Traffic>,
}

/// Whether a URL names a store that is opened here.
pub(super) fn is_cloud(url: &Url) -> bool {
    matches!(url.scheme(), "s3" | "az" | "abfss" | "gs")
}

/// Opens the store at `url`, whose scheme is one of [`is_cloud`].
pub(super) fn open(url: &Url, options: &StoreOptions) -> Result<Opened> {
    let connector = Counted::default();
    let bucket = url.host_str().unwrap_or_default();
    let prefix = Path::from_url_path(url.path())?;
    let (store, cloud): (Arc<dyn ObjectStore>, Cloud) = match url.scheme() {
        "s3" => s3(bucket, options, &connector)?,
        "gs" => google(bucket, options, &connector)?,
        "abfss" => {
            let account = bucket.split('.').next().unwrap_or_default();
            azure(url.username(), Some(account), options, &connector)?
        }
        _ => azure(bucket, options.account.as_deref(), options, &connector)?,
    };
    // The URLs it is given are the library's own, which was told whether it may do without TLS.
    let client = connector.connect(&ClientOptions::new().with_allow_http(true))?;
    let direct = Direct::new(client, cloud, prefix.clone());
    let store: Arc<dyn ObjectStore> = match prefix.as_ref().is_empty() {
        true => store,
        false => Arc::new(PrefixStore::new(store, prefix)),
    };
    let store: Arc<dyn ObjectStore> = Arc::new(Patient(store));
    Ok(Opened { store, direct, traffic: connector.traffic() })
}

fn s3(bucket: &str, options: &StoreOptions, connector: &Counted) -> Result<(Arc<dyn ObjectStore>, Cloud)> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    for (key, value) in environment::<AmazonS3ConfigKey>(options) {
        builder = builder.with_config(key, value);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(plain(endpoint));
    }
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    if let Some(path_style) = options.path_style {
        builder = builder.with_virtual_hosted_style_request(!path_style);
    }
    if options.allow_http {
        builder = builder.with_allow_http(true);
    }
    let region = builder.get_config_value(&AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".into());
    let store = Arc::new(builder.with_retry(retry()).with_http_connector(connector.clone()).build()?);
    let cloud = Cloud::S3 { store: Arc::clone(&store), region };
    Ok((store, cloud))
}

fn azure(
    container: &str,
    account: Option<&str>,
    options: &StoreOptions,
    connector: &Counted,
) -> Result<(Arc<dyn ObjectStore>, Cloud)> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_container_name(container);
    for (key, value) in environment::<AzureConfigKey>(options) {
        builder = builder.with_config(key, value);
    }
    if let Some(account) = account {
        builder = builder.with_account(account);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(plain(endpoint));
    }
    if options.allow_http {
        builder = builder.with_allow_http(true);
    }
    let account = builder.get_config_value(&AzureConfigKey::AccountName).unwrap_or_default();
    let service = builder.get_config_value(&AzureConfigKey::Endpoint);
    let service = service.unwrap_or_else(|| format!("https://{account}.blob.core.windows.net"));
    let store = Arc::new(builder.with_retry(retry()).with_http_connector(connector.clone()).build()?);
    let cloud =
        Cloud::Azure { credentials: Arc::clone(store.credentials()), account, container: below(&service, container)? };
    Ok((store, cloud))
}

fn google(bucket: &str, options: &StoreOptions, connector: &Counted) -> Result<(Arc<dyn ObjectStore>, Cloud)> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
    for (key, value) in environment::<GoogleConfigKey>(options) {
        builder = builder.with_config(key, value);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_base_url(&plain(endpoint));
    }
    let service = builder.get_config_value(&GoogleConfigKey::BaseUrl);
    let service = service.unwrap_or_else(|| "https://storage.googleapis.com".into());
    if options.allow_http {
        builder = builder.with_client_options(ClientOptions::new().with_allow_http(true));
    }
    let store = Arc::new(builder.with_retry(retry()).with_http_connector(connector.clone()).build()?);
    let cloud = Cloud::Google { credentials: Arc::clone(store.credentials()), bucket: below(&service, bucket)? };
    Ok((store, cloud))
}

/// What the options say in the environment's words.
fn environment<K: FromStr>(options: &StoreOptions) -> impl Iterator<Item = (K, &String)> {
    let pairs = options.environment.iter();
    pairs.filter_map(|(key, value)| Some((key.to_ascii_lowercase().parse().ok()?, value)))
}

/// Tried again with growing pauses drawn by chance; after a good minute a person should know.
fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: 10,
        retry_timeout: std::time::Duration::from_secs(90),
    }
}

fn plain(endpoint: &Url) -> String {
    endpoint.as_str().trim_end_matches('/').to_owned()
}

fn below(service: &str, bucket: &str) -> Result<Url> {
    let text = format!("{}/{bucket}", service.trim_end_matches('/'));
    Url::parse(&text).map_err(|source| object_store::Error::Generic { store: "settings", source: Box::new(source) })
}
