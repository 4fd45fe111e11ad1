//! The fuzz targets of `fuzz/` run over their seeds and over all inputs that once made one fail, so
//! that neither the targets nor what they found is forgotten.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
mod targets;

/// The files of a directory in order; none when it is not there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.expect("entry").path()).collect();
    files.sort();
    files
}

#[test]
fn seeds_and_former_crashers_pass() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for (name, run) in targets::TARGETS {
        let seeds = files(&fuzz.join("seeds").join(name));
        assert!(seeds.len() >= 3, "{name} has seeds");
        for path in seeds
            .into_iter()
            .chain(files(&fuzz.join("crashers").join(name)))
        {
            eprintln!("{}", path.display());
            run(&fs::read(&path).expect("readable"));
        }
    }
}
