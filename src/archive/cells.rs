//! What the cells of one column add to the sums of their rows' fields.
//!
//! A cell is printed as `restore` prints it and parsed and digested by the read-back's own code
//! ([`crate::record::reread`]); but equal values once for many rows: of a dictionary, each entry that a row has; of
//! numbers and instants, those that a small table still knows. A value that can't be printed exactly, or prints no
//! JSON value, is [`Kind::Damaged`].
//!
//! Memory beside the arrays: 16 bytes for each entry of a dictionary, and the printed value.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};

use super::catalogue::ColumnType;
use super::print::{PrintedColumn, append_on_one_line, damaged, print_value, rest_members, unprintable};
use crate::error::{Error, Kind, Result};
use crate::record::Malformed;
use crate::record::reread::{FieldReader, sum_of_printed};

/// Numbers whose digest is remembered; as many as stay in the fastest cache.
const REMEMBERED: usize = 1024;

/// What a column of the file is to its rows' records.
#[derive(Debug)]
enum Role {
    /// A member of its own.
    Member { kind: ColumnType, field: FieldReader },
    /// `_hf_rest`: members as they were.
    Rest,
    /// Nothing: where the row came from.
    Nothing,
}

/// Digests the cells of one column of a row group.
#[derive(Debug)]
pub(super) struct Cells {
    printing: Printing,
    numbers: Numbers,
    /// The last dictionary, and what each of its entries adds; 0: nothing, or it was not needed yet.
    dictionary: Option<(ArrayRef, Vec<u128>)>,
}

impl Cells {
    /// Of a column that is printed as a member.
    pub(super) fn member(column: &PrintedColumn, name: &str, rows: usize) -> Result<Self> {
        let field = FieldReader::new(&column.key).map_err(|malformed| no_json(name, malformed))?;
        let is_text = matches!(column.kind, ColumnType::Text | ColumnType::Json);
        Ok(Cells::new(Role::Member { kind: column.kind, field }, name, if is_text { 0 } else { rows }))
    }

    /// Of `_hf_rest`.
    pub(super) fn rest(name: &str) -> Self {
        Cells::new(Role::Rest, name, 0)
    }

    /// Of a column that no record shows. It is read all the same: it can be damaged.
    pub(super) fn nothing(name: &str) -> Self {
        Cells::new(Role::Nothing, name, 0)
    }

    /// `numbers`: how many there are at most.
    fn new(role: Role, name: &str, numbers: usize) -> Self {
        let printing = Printing { role, name: name.to_owned(), line: Vec::new() };
        Cells { printing, numbers: Numbers::new(numbers), dictionary: None }
    }

    /// Adds to each row's sum what its cell counts. There are as many sums as cells.
    pub(super) fn add(&mut self, values: &ArrayRef, tails: Option<&ArrayRef>, sums: &mut [u128]) -> Result<()> {
        let strange = || unprintable(&self.printing.name);
        let kind = match &self.printing.role {
            Role::Nothing => return Ok(()),
            Role::Rest => ColumnType::Json,
            Role::Member { kind, .. } => *kind,
        };
        match kind {
            ColumnType::Text | ColumnType::Json => match values.as_dictionary_opt::<Int32Type>() {
                Some(dictionary) => self.add_entries(values, dictionary.keys().values(), dictionary.values(), sums),
                None => each_value(values, |row| {
                    add(&mut sums[row], self.printing.digest(values, None, row)?);
                    Ok(())
                }),
            },
            ColumnType::Bool => {
                let words = values.as_boolean_opt().ok_or_else(strange)?;
                self.add_numbers(values, |row| Some(words.value(row).into()), None, sums)
            }
            ColumnType::Int => {
                let numbers = values.as_primitive_opt::<Int32Type>().ok_or_else(strange)?.values();
                self.add_numbers(values, |row| Some(i64::from(numbers[row]) as u64), None, sums)
            }
            ColumnType::Long => {
                let numbers = values.as_primitive_opt::<Int64Type>().ok_or_else(strange)?.values();
                self.add_numbers(values, |row| Some(numbers[row] as u64), None, sums)
            }
            ColumnType::Double => {
                let numbers = values.as_primitive_opt::<Float64Type>().ok_or_else(strange)?.values();
                self.add_numbers(values, |row| Some(numbers[row].to_bits()), None, sums)
            }
            ColumnType::Timestamp => {
                let instants = values.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(strange)?.values();
                // With a tail the instant is not all that is printed.
                let whole = |row| tails.is_none_or(|tails| tails.is_null(row));
                self.add_numbers(values, |row| whole(row).then_some(instants[row] as u64), tails, sums)
            }
        }
    }

    /// Text of a dictionary: `ids` say which entry a row has.
    fn add_entries(&mut self, rows: &ArrayRef, ids: &[i32], entries: &ArrayRef, sums: &mut [u128]) -> Result<()> {
        if !self.dictionary.as_ref().is_some_and(|(known, _)| same_array(known, entries)) {
            self.dictionary = Some((ArrayRef::clone(entries), vec![0; entries.len()]));
        }
        let Some((_, digests)) = &mut self.dictionary else { return Ok(()) };
        let printing = &mut self.printing;
        let mut add_entry = |sum: &mut u128, id: i32| -> Result<()> {
            let digest = digests.get_mut(id as usize).ok_or_else(|| damaged("a row has no entry of its dictionary"))?;
            if *digest == 0 {
                *digest = printing.digest(entries, None, id as usize)?;
            }
            add(sum, *digest);
            Ok(())
        };
        if rows.null_count() > 0 {
            return each_value(rows, |row| add_entry(&mut sums[row], ids[row]));
        }
        sums.iter_mut().zip(ids).try_for_each(|(sum, id)| add_entry(sum, *id))
    }

    /// Values that `bits` tells apart, where it can.
    fn add_numbers(
        &mut self,
        values: &ArrayRef,
        bits: impl Fn(usize) -> Option<u64>,
        tails: Option<&ArrayRef>,
        sums: &mut [u128],
    ) -> Result<()> {
        let (numbers, printing) = (&mut self.numbers, &mut self.printing);
        each_value(values, |row| {
            let digest = match bits(row) {
                Some(bits) => {
                    let place = numbers.place(bits);
                    if place.1 == 0 || place.0 != bits {
                        *place = (bits, printing.digest(values, tails, row)?);
                    }
                    place.1
                }
                None => printing.digest(values, tails, row)?,
            };
            add(&mut sums[row], digest);
            Ok(())
        })
    }
}

/// Prints and digests one value after the other.
#[derive(Debug)]
struct Printing {
    role: Role,
    /// The column's name, for errors.
    name: String,
    line: Vec<u8>,
}

impl Printing {
    /// What a value that is not null adds to its record's sum.
    fn digest(&mut self, values: &ArrayRef, tails: Option<&ArrayRef>, row: usize) -> Result<u128> {
        self.line.clear();
        let digest = match &mut self.role {
            Role::Nothing => return Ok(0),
            Role::Member { kind, field } => {
                let tails = tails.map(AsRef::as_ref);
                print_value(values.as_ref(), tails, *kind, row, &mut self.line)
                    .ok_or_else(|| unprintable(&self.name))?;
                field.field(&self.line)
            }
            Role::Rest => {
                let objects = values.as_string_opt::<i32>().ok_or_else(|| unprintable(&self.name))?;
                self.line.push(b'{');
                append_on_one_line(rest_members(objects.value(row))?, &mut self.line);
                self.line.push(b'}');
                sum_of_printed(&self.line)
            }
        };
        digest.map_err(|malformed| no_json(&self.name, malformed))
    }
}

/// The digests of some of the last numbers, each at the place that its bits give.
#[derive(Debug)]
struct Numbers {
    /// The bits and their digest; 0: nobody is there.
    places: Vec<(u64, u128)>,
}

impl Numbers {
    fn new(most: usize) -> Self {
        Numbers { places: vec![(0, 0); most.clamp(1, REMEMBERED).next_power_of_two()] }
    }

    fn place(&mut self, bits: u64) -> &mut (u64, u128) {
        // The high bits of the product depend on all bits.
        let mixed = (bits.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize;
        let last = self.places.len() - 1;
        &mut self.places[mixed & last]
    }
}

fn add(sum: &mut u128, digest: u128) {
    *sum = sum.wrapping_add(digest);
}

/// Calls `act` with each row whose value is not null.
fn each_value(values: &ArrayRef, mut act: impl FnMut(usize) -> Result<()>) -> Result<()> {
    match values.nulls().filter(|nulls| nulls.null_count() > 0) {
        Some(nulls) => nulls.valid_indices().try_for_each(act),
        None => {
            for row in 0..values.len() {
                act(row)?;
            }
            Ok(())
        }
    }
}

/// True if both are the same text in memory: both are held, so neither's place can have been given to another.
fn same_array(one: &ArrayRef, other: &ArrayRef) -> bool {
    let (Some(one), Some(other)) = (one.as_string_opt::<i32>(), other.as_string_opt::<i32>()) else { return false };
    one.len() == other.len()
        && one.value_offsets().as_ptr() == other.value_offsets().as_ptr()
        && one.value_data().as_ptr() == other.value_data().as_ptr()
}

fn no_json(column: &str, malformed: Malformed) -> Error {
    let reason = format!("a value of column `{column}` prints no JSON: {malformed}");
    Error::new(Kind::Damaged, "reading back a column", reason)
}
