//! A row group's pages, each read and unpacked by itself.
//!
//! Invariant (I11): beside its current page a column holds nothing. The library's own page reader keeps a decompressor
//! for each column as long as the column is read, 96 KiB each: with thousands of columns more than all else.

use std::sync::Arc;

use parquet::arrow::arrow_reader::RowGroups;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;

/// One row group of a file.
#[derive(Debug)]
pub(super) struct GroupPages<R> {
    pub(super) file: Arc<R>,
    /// With the offset index, if the file has one.
    pub(super) metadata: Arc<ParquetMetaData>,
    pub(super) group: usize,
}

impl<R: ChunkReader + 'static> GroupPages<R> {
    /// Where the data pages of a column are, if the file says so.
    fn places(&self, column: usize) -> Option<&[PageLocation]> {
        let index = self.metadata.offset_index().and_then(|groups| groups.get(self.group)?.get(column));
        index.map(|index| index.page_locations().as_slice())
    }

    /// The library's reader of a column's pages; without places it goes by the pages' headers alone.
    fn pages(&self, column: usize, places: Option<Vec<PageLocation>>) -> Result<SerializedPageReader<R>> {
        let chunk = self.metadata.row_group(self.group).column(column);
        SerializedPageReader::new(Arc::clone(&self.file), chunk, self.num_rows(), places)
    }
}

impl<R: ChunkReader + 'static> RowGroups for GroupPages<R> {
    fn num_rows(&self) -> usize {
        usize::try_from(self.metadata.row_group(self.group).num_rows()).unwrap_or_default()
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        let pages: Box<dyn PageReader> = match self.places(column) {
            Some(places) => Box::new(ChunkPages::new(self, column, places)),
            // Not written by us.
            None => Box::new(self.pages(column, None)?),
        };
        Ok(Box::new(OneChunk(Some(pages))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata.row_group(self.group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// A row group of which only one column is read: a reader of it sees a file of that column.
#[derive(Debug)]
pub(super) struct OneColumn<R> {
    pub(super) group: GroupPages<R>,
    pub(super) column: usize,
}

impl<R: ChunkReader + 'static> RowGroups for OneColumn<R> {
    fn num_rows(&self) -> usize {
        self.group.num_rows()
    }

    fn column_chunks(&self, _: usize) -> Result<Box<dyn PageIterator>> {
        // One column at a time can keep its decompressor.
        let places = self.group.places(self.column).map(<[PageLocation]>::to_vec);
        Ok(Box::new(OneChunk(Some(Box::new(self.group.pages(self.column, places)?)))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        self.group.row_groups()
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.group.metadata
    }
}

/// The pages of the one column chunk.
struct OneChunk(Option<Box<dyn PageReader>>);

impl Iterator for OneChunk {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneChunk {}

/// A column chunk, page after page.
#[derive(Debug)]
struct ChunkPages<R> {
    file: Arc<R>,
    metadata: Arc<ParquetMetaData>,
    group: usize,
    column: usize,
    rows: usize,
    /// The dictionary, until it was read.
    dictionary: Option<PageLocation>,
    /// How many data pages were read.
    read: usize,
}

impl<R: ChunkReader + 'static> ChunkPages<R> {
    fn new(group: &GroupPages<R>, column: usize, pages: &[PageLocation]) -> Self {
        let (start, _) = group.metadata.row_group(group.group).column(column).byte_range();
        // What stands before the first data page is the dictionary.
        let dictionary = pages.first().filter(|first| first.offset as u64 != start).cloned();
        ChunkPages {
            file: Arc::clone(&group.file),
            metadata: Arc::clone(&group.metadata),
            group: group.group,
            column,
            rows: group.num_rows(),
            dictionary,
            read: 0,
        }
    }

    /// A reader that begins with this page, or with what stands before it.
    fn reader(&self, page: PageLocation) -> Result<SerializedPageReader<R>> {
        let chunk = self.metadata.row_group(self.group).column(self.column);
        SerializedPageReader::new(Arc::clone(&self.file), chunk, self.rows, Some(vec![page]))
    }

    fn next_location(&self) -> Option<PageLocation> {
        let index = self.metadata.offset_index().and_then(|groups| groups.get(self.group)?.get(self.column));
        index.and_then(|index| index.page_locations().get(self.read)).cloned()
    }
}

impl<R: ChunkReader + 'static> PageReader for ChunkPages<R> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        if let Some(first) = self.dictionary.take() {
            return self.reader(first)?.get_next_page();
        }
        let Some(page) = self.next_location() else { return Ok(None) };
        let (start, _) = self.metadata.row_group(self.group).column(self.column).byte_range();
        let has_more_before = page.offset as u64 != start;
        self.read += 1;
        let mut reader = self.reader(page)?;
        if has_more_before {
            reader.skip_next_page()?;
        }
        reader.get_next_page()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        Err(ParquetError::General("segments are read whole: no page is looked at ahead".to_owned()))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        Err(ParquetError::General("segments are read whole: no page is skipped".to_owned()))
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        // No column is repeated: each value is a record's.
        Ok(true)
    }
}

impl<R: ChunkReader + 'static> Iterator for ChunkPages<R> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}
