//! Old versions and unfinished uploads of a bucket on S3: what a listing hides, and a deletion leaves.

use bytes::Bytes;
use http::Method;
use object_store::path::Path;
use object_store::{Error, Result};
use serde::Deserialize;

use super::direct::{Cloud, Direct, refused};

/// One version of an object, or the marker of its deletion.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Version {
    key: String,
    version_id: String,
    /// Of a deletion.
    #[serde(skip)]
    is_marker: bool,
}

impl Version {
    pub fn id(&self) -> &str {
        &self.version_id
    }

    /// True of the marker that a deletion left.
    pub fn is_marker(&self) -> bool {
        self.is_marker
    }
}

/// A streamed write that was never finished.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Unfinished {
    key: String,
    upload_id: String,
}

#[derive(Debug, Deserialize)]
struct Versions {
    #[serde(rename = "Version", default)]
    versions: Vec<Version>,
    #[serde(rename = "DeleteMarker", default)]
    markers: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Uploads {
    #[serde(rename = "Upload", default)]
    uploads: Vec<Unfinished>,
}

impl Direct {
    /// Up to a thousand versions of an object, markers of its deletion too. Not S3: none.
    pub async fn versions(&self, path: &Path) -> Result<Vec<Version>> {
        let Cloud::S3 { .. } = &self.cloud else { return Ok(Vec::new()) };
        let key = self.whole(path).to_string();
        let listed: Versions = self.listed("versions", &key).await?;
        let markers = listed.markers.into_iter().map(|marker| Version { is_marker: true, ..marker });
        let all = listed.versions.into_iter().chain(markers);
        Ok(all.filter(|version| version.key == key).collect())
    }

    /// Names below the store's folder that have a version, and are no markers; up to a thousand. Not S3: none.
    pub async fn versioned_names(&self) -> Result<Vec<String>> {
        let Cloud::S3 { .. } = &self.cloud else { return Ok(Vec::new()) };
        let listed: Versions = self.listed("versions", &format!("{}/", self.whole(&Path::default()))).await?;
        Ok(listed.versions.into_iter().map(|version| version.key).collect())
    }

    /// Deletes one version, for good.
    pub async fn delete_version(&self, version: &Version) -> Result<()> {
        self.delete_by(&version.key, "versionId", &version.version_id).await
    }

    /// Up to a thousand unfinished uploads below the store's folder. Not S3: none.
    pub async fn unfinished(&self) -> Result<Vec<Unfinished>> {
        let Cloud::S3 { .. } = &self.cloud else { return Ok(Vec::new()) };
        let folder = self.whole(&Path::default());
        let slash = if folder.as_ref().is_empty() { "" } else { "/" };
        let listed: Uploads = self.listed("uploads", &format!("{folder}{slash}")).await?;
        Ok(listed.uploads)
    }

    /// Drops what an unfinished upload has sent.
    pub async fn abort(&self, upload: &Unfinished) -> Result<()> {
        self.delete_by(&upload.key, "uploadId", &upload.upload_id).await
    }

    async fn listed<T: for<'de> Deserialize<'de>>(&self, what: &str, prefix: &str) -> Result<T> {
        let mut url = self.bucket_url().await?;
        url.query_pairs_mut().append_pair(what, "").append_pair("prefix", prefix);
        let answer = self.send(Method::GET, url, &[], Bytes::new()).await?;
        if !answer.status.is_success() {
            return Err(refused("listing the", &Path::from(what), &answer));
        }
        quick_xml::de::from_reader(&answer.body[..])
            .map_err(|source| Error::Generic { store: "S3", source: Box::new(source) })
    }

    async fn delete_by(&self, key: &str, name: &str, id: &str) -> Result<()> {
        let path = Path::parse(key).map_err(|source| Error::InvalidPath { source })?;
        let mut url = self.url_of(&path).await?;
        url.query_pairs_mut().append_pair(name, id);
        let answer = self.send(Method::DELETE, url, &[], Bytes::new()).await?;
        if answer.status.is_success() || answer.status == http::StatusCode::NOT_FOUND {
            return Ok(());
        }
        Err(refused("deleting", &path, &answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_markers_are_read() {
        let xml = "<ListVersionsResult><Name>b</Name><Version><Key>a</Key><VersionId>1</VersionId><Size>2</Size></Version>\
                   <DeleteMarker><Key>a</Key><VersionId>2</VersionId></DeleteMarker><Version><Key>ab</Key>\
                   <VersionId>null</VersionId></Version></ListVersionsResult>";
        let read: Versions = quick_xml::de::from_str(xml).unwrap();
        assert_eq!((read.versions.len(), read.markers.len()), (2, 1));
        let none: Versions =
            quick_xml::de::from_str("<ListVersionsResult><Name>b</Name></ListVersionsResult>").unwrap();
        assert!(none.versions.is_empty());
    }
}
