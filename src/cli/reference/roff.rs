//! One man page: what clap_mangen makes of a command, and from what `--help` teaches examples, remarks and exit codes.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::lesson::Lesson;
use super::{page_name, typed};
use crate::error::{Error, Kind, Result};

/// The page of a command, in section 1.
pub fn page(command: &Command) -> Result<Vec<u8>> {
    let name = page_name(command);
    let page = Man::new(command.clone().display_name(name.clone()))
        .title(name.to_uppercase())
        .source(format!("holdfast {}", env!("CARGO_PKG_VERSION")))
        .manual("Holdfast");
    let mut bytes = Vec::new();
    let rendered = (|| {
        page.render_title(&mut bytes)?;
        page.render_name_section(&mut bytes)?;
        page.render_synopsis_section(&mut bytes)?;
        page.render_description_section(&mut bytes)?;
        page.render_options_section(&mut bytes)?;
        if command.has_subcommands() {
            page.render_subcommands_section(&mut bytes)?;
        }
        taught(command).to_writer(&mut bytes)
    })();
    rendered.map_err(|source| Error::from_source(Kind::Internal, format!("printing the page of {name}"), source))?;
    Ok(bytes)
}

fn taught(command: &Command) -> Roff {
    let Lesson { examples, remarks, exits } = Lesson::of(command);
    let mut roff = Roff::new();
    if !remarks.is_empty() {
        roff.control("SH", ["NOTES"]);
        for remark in remarks {
            roff.control("PP", []);
            roff.text([roman(remark)]);
        }
    }
    if !examples.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
        for (line, remark) in examples {
            roff.control("TP", []);
            roff.text([bold(line)]);
            roff.text([roman(remark.unwrap_or_default())]);
        }
    }
    if !exits.is_empty() {
        roff.control("SH", ["EXIT STATUS"]);
        for (code, meaning) in exits {
            roff.control("TP", []);
            roff.text([bold(code)]);
            roff.text([roman(meaning)]);
        }
    }
    if typed(command).contains(' ') {
        roff.control("SH", ["SEE ALSO"]);
        let above = page_name(command).rsplit_once('-').map(|(above, _)| above.to_owned()).unwrap_or_default();
        roff.text([bold(above), roman("(1)")]);
    }
    roff
}
