//! What a store's refusal means to a person. Clouds word it in codes; the same few causes stand behind them.

use std::error::Error as StdError;

/// The code in the answer, and what to do about it. Of several the first counts.
const CAUSES: &[(&[&str], &str)] = &[
    (
        &["RequestTimeTooSkewed", "AuthenticationFailed</Code><Message>Request date header"],
        "this host's clock is wrong: set it (chronyc, timedatectl), then type the same again; nothing was changed",
    ),
    (
        &["ExpiredToken", "TokenRefreshRequired", "InvalidToken"],
        "the credentials have expired: renew the session token in the environment, or let the platform's identity do it",
    ),
    (
        &["InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthenticationFailed", "InvalidAuthenticationInfo"],
        "the credentials are wrong: check the access key and secret in the environment, and that they are this store's",
    ),
    (
        &["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"],
        "there is no such bucket or container: check the URL, its region and its account; Holdfast makes none by itself",
    ),
    (
        &["AccessDenied", "AuthorizationPermissionMismatch", "AuthorizationFailure", "Forbidden"],
        "these credentials may not do that there: docs/OPERATIONS.md lists the rights that Holdfast needs, by prefix",
    ),
    (
        &["SlowDown", "ServerBusy", "TooManyRequests", "Too Many Requests"],
        "the store asked to slow down until we gave up: run again later, or with less memory, which asks for less at once",
    ),
    (
        &["error sending request", "connection", "timed out", "dns error"],
        "the store cannot be reached: check the endpoint, the network and its proxy, then type the same again",
    ),
];

/// What to do about an error of a store; none: nobody knows better than its own words.
pub fn hint(error: &object_store::Error) -> Option<&'static str> {
    let told = told(error);
    CAUSES.iter().find(|(codes, _)| codes.iter().any(|code| told.contains(code))).map(|(_, hint)| *hint)
}

/// Whether what was not found is the bucket itself.
pub fn no_bucket(source: &(dyn StdError + Send + Sync + 'static)) -> bool {
    let text = source.to_string();
    ["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"].iter().any(|code| text.contains(code))
}

/// All that an error and its causes say.
fn told(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn each_cause_has_its_own_way_out() {
        for (answer, way) in [
            ("403 Forbidden: <Code>RequestTimeTooSkewed</Code>", "clock"),
            ("400 Bad Request: <Code>ExpiredToken</Code>", "expired"),
            ("403: <Code>SignatureDoesNotMatch</Code>", "credentials are wrong"),
            ("404: <Code>NoSuchBucket</Code>", "no such bucket"),
            ("403: <Code>AccessDenied</Code>", "may not"),
            ("503: <Code>SlowDown</Code>", "slow down"),
        ] {
            let hint = hint(&generic(answer)).unwrap_or_default();
            assert!(hint.contains(way), "{answer}: {hint}");
        }
        assert_eq!(hint(&generic("something else")), None);
        // The number of a port or a path is no status.
        assert_eq!(hint(&generic("GET http://127.0.0.1:40373/b/429/403.json: half an answer")), None);
    }

    #[test]
    fn i7_a_missing_bucket_is_no_missing_object() {
        let source: Box<dyn StdError + Send + Sync> = "404: <Code>NoSuchBucket</Code>".into();
        assert!(no_bucket(&*source));
        let source: Box<dyn StdError + Send + Sync> = "404: <Code>NoSuchKey</Code>".into();
        assert!(!no_bucket(&*source));
    }
}
