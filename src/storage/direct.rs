//! Requests that `object_store` has no call for, signed by its own authorizers: deletes under a condition, and what a
//! bucket says of itself.
//!
//! Invariant: a request says exactly what was asked and nothing is assumed of its answer; whoever deletes looks afterwards.
//! What makes a delete conditional differs: an etag on S3 and Azure, the generation on Google Cloud.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use object_store::aws::{AmazonS3, AwsAuthorizer};
use object_store::azure::{AzureAuthorizer, AzureCredentialProvider};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::gcp::GcpCredentialProvider;
use object_store::path::Path;
use object_store::signer::Signer;
use object_store::{Error, ObjectMeta, Result};
use url::Url;

use super::traffic::is_transient;

/// So often a request is sent that gets no answer, or one that asks to try again.
const TRIES: u32 = 6;
/// Before the second; doubled each time, and as much again by chance.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Who is asked, and how it is signed.
#[derive(Debug, Clone)]
pub(super) enum Cloud {
    S3 { store: Arc<AmazonS3>, region: String },
    Azure { credentials: AzureCredentialProvider, account: String, container: Url },
    Google { credentials: GcpCredentialProvider, bucket: Url },
}

/// Signed requests to one store.
#[derive(Debug, Clone)]
pub struct Direct {
    client: HttpClient,
    pub(super) cloud: Cloud,
    /// The store's folder in its bucket.
    prefix: Path,
}

/// What became of a conditional delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exact {
    Deleted,
    /// It is not what it was any more: nothing was deleted.
    Changed,
    Missing,
    /// The store knows no such request.
    Unknown,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

impl Direct {
    pub(super) fn new(client: HttpClient, cloud: Cloud, prefix: Path) -> Self {
        Direct { client, cloud, prefix }
    }

    /// Deletes the object if it is still the one that `meta` tells of.
    pub async fn delete_exact(&self, path: &Path, meta: &ObjectMeta) -> Result<Exact> {
        let condition = match (&self.cloud, &meta.e_tag, &meta.version) {
            (Cloud::S3 { .. } | Cloud::Azure { .. }, Some(etag), _) => ("if-match", etag),
            (Cloud::Google { .. }, _, Some(generation)) => ("x-goog-if-generation-match", generation),
            _ => return Ok(Exact::Unknown),
        };
        let url = self.object_url(path).await?;
        let answer = self.send(Method::DELETE, url, &[condition], Bytes::new()).await?;
        match answer.status {
            status if status.is_success() => Ok(Exact::Deleted),
            StatusCode::PRECONDITION_FAILED => Ok(Exact::Changed),
            // S3: somebody writes it just now. Azure: it has snapshots, say.
            StatusCode::CONFLICT if matches!(self.cloud, Cloud::S3 { .. }) => Ok(Exact::Changed),
            StatusCode::NOT_FOUND => Ok(Exact::Missing),
            StatusCode::NOT_IMPLEMENTED => Ok(Exact::Unknown),
            _ => Err(refused("deleting", path, &answer)),
        }
    }

    /// Asks the bucket (S3) or the account (Azure) about itself, by a query such as `versioning`. Others: none.
    pub async fn ask_bucket(&self, query: &str) -> Result<Option<Answer>> {
        let mut url = self.bucket_url().await?;
        match &self.cloud {
            Cloud::S3 { .. } => {}
            Cloud::Azure { .. } => {
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.pop().push("");
                }
            }
            Cloud::Google { .. } => return Ok(None),
        }
        url.set_query(Some(query));
        self.send(Method::GET, url, &[], Bytes::new()).await.map(Some)
    }

    /// A path of the store as the bucket names it.
    pub(super) fn whole(&self, path: &Path) -> Path {
        self.prefix.parts().chain(path.parts()).collect()
    }

    async fn object_url(&self, path: &Path) -> Result<Url> {
        self.url_of(&self.whole(path)).await
    }

    /// The URL of a name in the bucket.
    pub(super) async fn url_of(&self, whole: &Path) -> Result<Url> {
        match &self.cloud {
            // The library knows best how it spells the URL of an object.
            Cloud::S3 { store, .. } => {
                let mut url = store.signed_url(Method::GET, whole, Duration::from_secs(60)).await?;
                url.set_query(None);
                Ok(url)
            }
            Cloud::Azure { container: base, .. } | Cloud::Google { bucket: base, .. } => {
                let mut url = base.clone();
                if let Ok(mut segments) = url.path_segments_mut() {
                    segments.pop_if_empty().extend(whole.parts().map(|part| part.as_ref().to_owned()));
                }
                Ok(url)
            }
        }
    }

    pub(super) async fn bucket_url(&self) -> Result<Url> {
        match &self.cloud {
            Cloud::S3 { store, .. } => {
                const PROBE: &str = "x";
                let mut url = store.signed_url(Method::GET, &Path::from(PROBE), Duration::from_secs(60)).await?;
                url.set_query(None);
                let path = url.path().trim_end_matches(PROBE).to_owned();
                url.set_path(&path);
                Ok(url)
            }
            Cloud::Azure { container: base, .. } | Cloud::Google { bucket: base, .. } => Ok(base.clone()),
        }
    }

    /// Sends it until there is an answer.
    pub(super) async fn send(
        &self,
        method: Method,
        url: Url,
        headers: &[(&'static str, &String)],
        body: Bytes,
    ) -> Result<Answer> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            let request = self.signed(method.clone(), &url, headers, body.clone()).await?;
            let last = tries == TRIES;
            match self.client.execute(request).await {
                Ok(response) if last || !is_transient(response.status()) => {
                    let status = response.status();
                    match response.into_body().bytes().await {
                        Ok(body) => return Ok(Answer { status, body }),
                        Err(error) if last => return Err(failed(error)),
                        Err(_) => {}
                    }
                }
                Err(error) if last => return Err(failed(error)),
                _ => {}
            }
            tokio::time::sleep(pause + by_chance(pause)).await;
            pause *= 2;
            tries += 1;
        }
    }

    async fn signed(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&'static str, &String)],
        body: Bytes,
    ) -> Result<HttpRequest> {
        let mut request = http::Request::builder().method(method).uri(url.as_str());
        for (name, value) in headers {
            request = request.header(*name, value.as_str());
        }
        let length = body.len();
        let mut request = request.body(HttpRequestBody::from(body)).map_err(failed)?;
        request.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
        match &self.cloud {
            Cloud::S3 { store, region } => {
                let credential = store.credentials().get_credential().await?;
                AwsAuthorizer::new(&credential, "s3", region).authorize(&mut request, None);
            }
            Cloud::Azure { credentials, account, .. } => {
                let credential = credentials.get_credential().await?;
                AzureAuthorizer::new(&credential, account).authorize(&mut request);
            }
            Cloud::Google { credentials, .. } => {
                let credential = credentials.get_credential().await?;
                if !credential.bearer.is_empty() {
                    bear(request.headers_mut(), &credential.bearer)?;
                }
            }
        }
        Ok(request)
    }
}

fn bear(headers: &mut HeaderMap, token: &str) -> Result<()> {
    let mut value = http::HeaderValue::from_str(&format!("Bearer {token}")).map_err(failed)?;
    value.set_sensitive(true);
    headers.insert(http::header::AUTHORIZATION, value);
    Ok(())
}

/// Up to as much again, so that many who were sent away do not come back together.
fn by_chance(pause: Duration) -> Duration {
    let drawn = ahash::RandomState::new().hash_one(pause) % 1000;
    pause.mul_f64(drawn as f64 / 1000.0)
}

fn failed(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Generic { store: "HTTP", source: Box::new(source) }
}

/// An answer that nobody expected.
pub(super) fn refused(act: &str, path: &Path, answer: &Answer) -> Error {
    let text = String::from_utf8_lossy(&answer.body);
    let source = format!("{act} {path}: the store answered {}: {}", answer.status, text.trim()).into();
    match answer.status {
        StatusCode::FORBIDDEN => Error::PermissionDenied { path: path.to_string(), source },
        StatusCode::UNAUTHORIZED => Error::Unauthenticated { path: path.to_string(), source },
        _ => Error::Generic { store: "HTTP", source },
    }
}
