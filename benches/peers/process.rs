//! Engines as processes of their own, and what the kernel charged them for.
//!
//! Everything runs through `measure.py`: the same processors, the same clock, CPU and peak memory from the kernel's own
//! account of the ended process. Nothing here looks into an engine.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Fallible;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");

/// One run of one engine.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Cost {
    pub wall_seconds: f64,
    pub cpu_seconds: f64,
    pub peak_bytes: f64,
    #[serde(default)]
    pub output_bytes: f64,
}

impl Cost {
    /// The figures that are compared, in the order of the table's columns.
    pub fn figures(&self) -> [f64; 4] {
        [self.wall_seconds, self.cpu_seconds, self.peak_bytes, self.output_bytes]
    }

    pub fn from_figures([wall_seconds, cpu_seconds, peak_bytes, output_bytes]: [f64; 4]) -> Cost {
        Cost { wall_seconds, cpu_seconds, peak_bytes, output_bytes }
    }
}

/// The Python that has the peers.
pub struct Python(PathBuf);

impl Python {
    /// The environment of `requirements.txt` in the cache folder, made if it is not there, by the pip of this machine.
    pub fn open(cache: &Path) -> Fallible<Python> {
        let wanted = fs::read_to_string(Path::new(FOLDER).join("requirements.txt"))?;
        let folder = cache.join("python");
        let (marker, python) = (folder.join("installed.txt"), folder.join("bin/python"));
        if fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
            return Ok(Python(python));
        }
        eprintln!("installing the peers in {}", folder.display());
        succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let requirements = Path::new(FOLDER).join("requirements.txt");
        let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--only-binary", ":all:", "--requirement"];
        succeed(Command::new(&python).args(pip).arg(requirements))?;
        fs::write(marker, wanted)?;
        Ok(Python(python))
    }

    /// How `engines.py` does `engine`'s part.
    pub fn peer(&self, engine: &str, spec: &Path) -> Vec<OsString> {
        vec![self.0.clone().into(), script("engines.py"), engine.into(), spec.into()]
    }

    /// What `check.py` finds in an output.
    pub fn check(&self, spec: &Path) -> Fallible<Value> {
        let out = Command::new(&self.0).arg(script("check.py")).arg(spec).stderr(Stdio::inherit()).output()?;
        if !out.status.success() {
            return Err(format!("check.py failed on {}", spec.display()).into());
        }
        Ok(serde_json::from_slice(&out.stdout)?)
    }

    /// Runs `command` on so many processors; `log` takes what it says.
    pub fn measure(&self, processors: usize, command: &[OsString], log: &Path) -> Fallible<Cost> {
        // What the last one wrote is on disk before this one begins.
        succeed(&mut Command::new("sync"))?;
        let out = Command::new(&self.0)
            .args([OsString::from("-S"), script("measure.py"), processors.to_string().into()])
            .args(command)
            .stderr(File::create(log)?)
            .output()?;
        let measured: Value = serde_json::from_slice(&out.stdout)?;
        if measured["exit"] != 0 {
            let said = fs::read_to_string(log).unwrap_or_default();
            return Err(format!("{} ended with {}:\n{said}", command[0].display(), measured["exit"]).into());
        }
        Ok(serde_json::from_value(measured)?)
    }
}

fn script(name: &str) -> OsString {
    Path::new(FOLDER).join(name).into()
}

fn succeed(command: &mut Command) -> Fallible<()> {
    let status = command.status().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {status}", command.get_program().display()).into())
    }
}

/// The bytes of all files below a folder; none if it is not there.
pub fn bytes_below(folder: &Path) -> Fallible<u64> {
    let mut sum = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if !folder.exists() {
            continue;
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            if meta.is_dir() { folders.push(entry.path()) } else { sum += meta.len() }
        }
    }
    Ok(sum)
}

/// Bytes that may still be written where `folder` is.
pub fn free_bytes(folder: &Path) -> Fallible<u64> {
    let out = Command::new("df").args(["--block-size=1", "--output=avail"]).arg(folder).output()?;
    let text = String::from_utf8(out.stdout)?;
    let last = text.lines().last().unwrap_or_default().trim();
    last.parse().map_err(|_| format!("df does not tell how much is free in {}: {text}", folder.display()).into())
}
