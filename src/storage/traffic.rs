//! What goes over the wire to one store: counted, and told when a server makes us wait.
//!
//! It wraps the HTTP client below `object_store`, so that retries count too and nothing can pass by it. Nothing is held
//! back or changed here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use http::{Method, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use serde::Serialize;

/// The counters of one store, shared by all that talk to it.
#[derive(Debug, Default)]
pub struct Traffic {
    reads: AtomicU64,
    writes: AtomicU64,
    deletes: AtomicU64,
    troubles: AtomicU64,
}

/// Requests so far, each retry counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Requests {
    /// GET and HEAD, listings too.
    pub reads: u64,
    pub writes: u64,
    pub deletes: u64,
    /// Those that had no answer, or one that asks to try again.
    pub troubles: u64,
}

impl Requests {
    pub fn total(&self) -> u64 {
        self.reads + self.writes + self.deletes
    }

    /// What came after `before`.
    pub fn since(self, before: Requests) -> Requests {
        Requests {
            reads: self.reads - before.reads,
            writes: self.writes - before.writes,
            deletes: self.deletes - before.deletes,
            troubles: self.troubles - before.troubles,
        }
    }

    /// Both together.
    pub fn plus(self, other: Requests) -> Requests {
        Requests {
            reads: self.reads + other.reads,
            writes: self.writes + other.writes,
            deletes: self.deletes + other.deletes,
            troubles: self.troubles + other.troubles,
        }
    }
}

impl Traffic {
    pub fn requests(&self) -> Requests {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Requests {
            reads: read(&self.reads),
            writes: read(&self.writes),
            deletes: read(&self.deletes),
            troubles: read(&self.troubles),
        }
    }

    fn begins(&self, method: &Method) {
        let counter = match *method {
            Method::GET | Method::HEAD => &self.reads,
            Method::DELETE => &self.deletes,
            _ => &self.writes,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Says what is being waited for: the first trouble at once, later ones now and then.
    fn troubled(&self, host: &str, reason: &dyn std::fmt::Display) {
        let before = self.troubles.fetch_add(1, Ordering::Relaxed);
        if before == 0 || (before + 1).is_power_of_two() {
            tracing::warn!(times = before + 1, "waiting for {host}: {reason}; trying again");
        }
    }
}

/// Makes HTTP clients that count.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    traffic: Arc<Traffic>,
}

impl Counted {
    pub fn traffic(&self) -> Arc<Traffic> {
        Arc::clone(&self.traffic)
    }
}

impl HttpConnector for Counted {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(CountedClient { inner, traffic: self.traffic() }))
    }
}

#[derive(Debug)]
struct CountedClient {
    inner: HttpClient,
    traffic: Arc<Traffic>,
}

#[async_trait]
impl HttpService for CountedClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.traffic.begins(request.method());
        let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let answer = self.inner.execute(request).await;
        match &answer {
            Ok(response) if is_transient(response.status()) => self.traffic.troubled(&host, &response.status()),
            Ok(_) => {}
            Err(error) => self.traffic.troubled(&host, error),
        }
        answer
    }
}

/// Whether the same request may well succeed a little later.
pub(super) fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}
