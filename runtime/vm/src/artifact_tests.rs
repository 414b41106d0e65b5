//! Tests of artifact reading: round trips, every bit flipped, every truncation.
//!
//! Invariant: reading never panics, whatever the bytes.
//!
//! Does not know: what sections mean.

use super::*;
use crate::code::CodeMemory;
use std::io::Write;

fn sample() -> Vec<u8> {
    let mut writer = ArtifactWriter::default();
    writer.section(SectionKind::Compatibility, b"target".to_vec());
    writer.section(SectionKind::Text, vec![0xC3; 10]);
    writer.section(SectionKind::Names, Vec::new());
    writer.section(SectionKind::Images, vec![7; 3 * PAGE_BYTES]);
    writer.section(SectionKind::Traps, vec![1, 2, 3, 4, 5]);
    writer.finish()
}

fn check(artifact: &ArtifactFile) {
    assert_eq!(artifact.section(SectionKind::Compatibility), b"target");
    assert_eq!(artifact.section(SectionKind::Text), [0xC3; 10]);
    assert_eq!(artifact.section(SectionKind::Names), b"");
    assert_eq!(artifact.section(SectionKind::Module), b"");
    assert_eq!(artifact.section(SectionKind::Images), [7; 3 * PAGE_BYTES]);
    assert_eq!(artifact.section(SectionKind::Traps), [1, 2, 3, 4, 5]);
}

/// A file in the temporary folder, removed on drop.
struct TemporaryFile(std::path::PathBuf);

impl TemporaryFile {
    fn new(name: &str, bytes: &[u8]) -> TemporaryFile {
        let path = std::env::temp_dir().join(format!("wattest-{}-{name}", std::process::id()));
        File::create(&path).unwrap().write_all(bytes).unwrap();
        TemporaryFile(path)
    }

    fn open(&self, trusted: bool) -> Result<ArtifactFile, ArtifactError> {
        // SAFETY: nobody else knows the file.
        unsafe { ArtifactFile::open(&self.0, trusted) }
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn sections_round_trip() {
    assert_eq!(sample(), sample());
    check(&ArtifactFile::from_bytes(sample(), false).unwrap());
    let file = TemporaryFile::new("round-trip", &sample());
    let artifact = Arc::new(file.open(false).unwrap());
    check(&artifact);
    let code = CodeMemory::from_artifact(&artifact).unwrap();
    assert_eq!(code.text().as_ptr(), artifact.section(SectionKind::Text).as_ptr(), "used in place");
    check(&artifact);
    check(&ArtifactFile::from_bytes(ArtifactWriter::default().finish(), false).map(|_| artifact).unwrap());
}

#[test]
fn every_flipped_bit_is_an_error() {
    let good = sample();
    let mut bytes = good.clone();
    for bit in 0..good.len() * 8 {
        // The image's bulk is one run of equal bytes: a sample of its bits will do.
        if bit / 8 > 2 * PAGE_BYTES && !(bit / 8).is_multiple_of(61) {
            continue;
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(parse(&bytes, false).is_err(), "bit {bit}");
        // Trusted reading may accept it, but must not panic nor leave the file.
        if let Ok(sections) = parse(&bytes, true) {
            assert!(sections.iter().all(|range| bytes.get(range.clone()).is_some()), "bit {bit}");
        }
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert_eq!(bytes, good);
}

#[test]
fn every_truncation_and_extension_is_an_error() {
    let good = sample();
    for length in (0..300).chain((300..good.len()).step_by(97)) {
        for trusted in [false, true] {
            assert!(parse(&good[..length], trusted).is_err(), "{length} bytes");
        }
    }
    let longer = [good, vec![0]].concat();
    assert!(parse(&longer, true).is_err());
    let empty = TemporaryFile::new("empty", b"");
    assert!(matches!(empty.open(true), Err(ArtifactError::NotAnArtifact)));
    // SAFETY: a folder is refused before it is mapped.
    let folder = unsafe { ArtifactFile::open(&std::env::temp_dir(), true) };
    assert!(folder.is_err());
}

#[test]
fn hostile_tables_are_errors() {
    let cases: [(&str, usize, &[u8]); 8] = [
        ("magic", 0, b"x"),
        ("version", 8, &[9]),
        ("count", 12, &[0xFF, 0xFF, 0xFF, 0xFF]),
        ("length", 32, &[0]),
        ("kind", HEADER_BYTES, &[0]),
        ("duplicate", HEADER_BYTES, &[3]),
        ("offset", HEADER_BYTES + 8, &[0xFF; 8]),
        ("bytes", HEADER_BYTES + 16, &[0xFF; 8]),
    ];
    for (name, at, patch) in cases {
        let mut bytes = sample();
        bytes[at..at + patch.len()].copy_from_slice(patch);
        assert!(parse(&bytes, true).is_err(), "{name}");
    }
}

#[test]
fn images_are_bounded() {
    let file = TemporaryFile::new("images", &sample());
    for artifact in [file.open(true).unwrap(), ArtifactFile::from_bytes(sample(), true).unwrap()] {
        let whole = 3 * PAGE_BYTES as u64;
        assert_eq!(artifact.image(0..whole, 65_536).unwrap().covers(), 65_536..65_536 + whole);
        for (range, start) in [(0..whole + 1, 0), (0..whole, u64::MAX), (1 << 63..(1 << 63) + 1, 0)] {
            assert!(artifact.image(range, start).is_none());
        }
    }
}
