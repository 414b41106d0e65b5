//! Throughput of lowering one string, for every pair of forms and several kinds of text, in bytes of source per second.
//! `cargo bench -p wattest-canon`; a filter such as `utf8-utf16/ascii` picks rows.

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use std::hint::black_box;
use std::time::Duration;
use wattest_canon::{
    Encoding, Fault, Form, HandleKind, Lower, Options, StringSource, Token, Width, lower_string, transcode,
};

/// Bytes of text in UTF-8.
const TEXT_BYTES: usize = 64 << 10;

/// Texts, each repeated up to [`TEXT_BYTES`].
const TEXTS: [(&str, &str); 4] = [
    ("ascii", "The quick brown fox jumps over the lazy dog. "),
    ("latin1", "Où est né l'élève français ? À côté, près du château. "),
    ("cyrillic", "Съешь же ещё этих мягких французских булок. "),
    ("cjk", "色は匂へど散りぬるを我が世誰ぞ常ならむ有為の奥山今日越えて😀"),
];

/// A memory with one place for strings.
struct Memory(Vec<u8>);

impl Lower for Memory {
    type Error = Fault;

    fn memory_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    fn realloc(&mut self, _old: u64, _old_bytes: u64, _align: u32, _new_bytes: u64) -> Result<u64, Fault> {
        Ok(16)
    }

    fn lower_handle(&mut self, _handle: HandleKind, _token: Token) -> Result<u32, Fault> {
        Ok(0)
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn source(form: Form, text: &str) -> Option<Vec<u8>> {
    match form {
        Form::Utf8 => Some(text.as_bytes().to_vec()),
        Form::Utf16 | Form::TaggedUtf16 => Some(utf16(text)),
        Form::Latin1 => text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect(),
    }
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, bytes: usize, mut run: impl FnMut()) {
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function(name, |bencher| bencher.iter(&mut run));
}

fn transcoding(criterion: &mut Criterion) {
    let mut memory = Memory(vec![0; 1 << 20]);
    for encoding in Encoding::ALL {
        for form in Form::ALL {
            let mut group = criterion.benchmark_group(format!("{form:?}-{encoding:?}").to_lowercase());
            for (name, text) in TEXTS {
                let text = text.repeat(TEXT_BYTES / text.len());
                let Some(bytes) = source(form, &text) else { continue };
                let options = Options::new(encoding, Width::W32);
                let source = StringSource { form, bytes: &bytes };
                measure(&mut group, name, bytes.len(), || {
                    black_box(lower_string(&mut memory, &options, black_box(source)).is_ok());
                });
            }
            group.finish();
        }
    }
}

/// What the standard library does with the same text, and what one copy of memory costs.
fn yardsticks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("std");
    for (name, text) in TEXTS {
        let text = text.repeat(TEXT_BYTES / text.len());
        let bytes = text.as_bytes();
        let mut target = vec![0; bytes.len()];
        measure(&mut group, &format!("copy/{name}"), bytes.len(), || {
            black_box(transcode::copy_latin1(black_box(bytes), black_box(&mut target)).is_ok());
        });
        measure(&mut group, &format!("validate-copy/{name}"), bytes.len(), || {
            let text = std::str::from_utf8(black_box(bytes)).unwrap_or_default();
            target.copy_from_slice(text.as_bytes());
            black_box(&mut target);
        });
        let mut units: Vec<u16> = Vec::with_capacity(bytes.len());
        measure(&mut group, &format!("utf8-utf16/{name}"), bytes.len(), || {
            units.clear();
            units.extend(std::str::from_utf8(black_box(bytes)).unwrap_or_default().encode_utf16());
            black_box(&mut units);
        });
    }
    group.finish();
}

fn settings() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .sample_size(10)
        .without_plots()
}

criterion_group! {
    name = benches;
    config = settings();
    targets = transcoding, yardsticks
}
criterion_main!(benches);
