//! `tokenizer.json` as the tokenizer section of a `.teff`.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;
use teff::lm::Tokenizer;
use teff::lm::tokenizer::{FUSE_UNKNOWN, Header, Merge, NONE, PREPEND_SPACE, SPACE_SIGN, STRIP_SPACE, WORDS};
use zerocopy::IntoBytes;

use crate::aligned::AlignedBytes;

#[derive(Deserialize)]
struct File {
    model: Bpe,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
    decoder: Option<Value>,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
}

#[derive(Deserialize)]
struct Bpe {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: HashMap<String, u32>,
    merges: Vec<Pair>,
    unk_token: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    ignore_merges: bool,
    dropout: Option<f64>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Pair {
    Two([String; 2]),
    Spaced(String),
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
}

/// Reads `tokenizer.json`; `special` names begin and end of a text by id, as config.json does.
///
/// # Errors
/// If the tokenizer is no BPE with byte fallback; the message says what of it is not supported.
pub fn read(path: &Path, bos: Option<u32>, eos: Option<u32>) -> Result<AlignedBytes> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    section(&text, bos, eos).with_context(|| format!("{}: not supported", path.display()))
}

/// The id of a piece, if the vocabulary has it.
///
/// # Errors
/// If the file cannot be read.
pub fn id_of(path: &Path, piece: &str) -> Result<Option<u32>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: Value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
    let vocabulary = file.pointer("/model/vocab").and_then(|vocabulary| vocabulary.get(piece));
    Ok(vocabulary.and_then(Value::as_u64).map(|id| id as u32))
}

/// The section of a `tokenizer.json`.
///
/// # Errors
/// As [`read`].
pub fn section(json: &str, bos: Option<u32>, eos: Option<u32>) -> Result<AlignedBytes> {
    let kind: Value = serde_json::from_str(json).context("it is no JSON")?;
    let model = kind.pointer("/model/type").and_then(Value::as_str).unwrap_or("BPE");
    ensure!(model == "BPE", "its model is {model}: only BPE with byte fallback is supported");
    let file: File = serde_json::from_str(json).context("it is not as the tokenizers library writes it")?;
    let bpe = &file.model;
    let _ = &bpe.kind;
    ensure!(
        file.pre_tokenizer.is_none(),
        "it has a pre_tokenizer (as byte-level BPE has): only plain BPE with byte fallback is supported"
    );
    let plain = |affix: &Option<String>| affix.as_deref().unwrap_or("").is_empty();
    ensure!(plain(&bpe.continuing_subword_prefix) && plain(&bpe.end_of_word_suffix), "it marks parts of words");
    ensure!(bpe.dropout.unwrap_or(0.0) == 0.0, "it drops merges at random");
    ensure!(!bpe.ignore_merges, "it ignores merges");
    let mut flags = normalizer_flags(file.normalizer.as_ref())? | decoder_flags(file.decoder.as_ref())?;

    let mut pieces: BTreeMap<u32, String> = bpe.vocab.iter().map(|(text, &id)| (id, text.clone())).collect();
    for token in &file.added_tokens {
        pieces.insert(token.id, token.content.clone());
    }
    let count = pieces.len();
    ensure!(count < usize::from(NONE), "{count} pieces: at most 65534 are supported");
    ensure!(pieces.keys().copied().eq(0..count as u32), "the ids of its pieces have gaps");
    let texts: Vec<&str> = pieces.values().map(String::as_str).collect();
    let id_of = |text: &str| bpe.vocab.get(text).map(|&id| id as u16);

    let mut merges = Vec::new();
    for (rank, pair) in bpe.merges.iter().enumerate() {
        let (left, right) = match pair {
            Pair::Two([left, right]) => (left.as_str(), right.as_str()),
            Pair::Spaced(pair) => pair.split_once(' ').context("a merge is not of two pieces")?,
        };
        let known = |text: &str| id_of(text).with_context(|| format!("a merge names {text:?}, which is no piece"));
        let rank = u16::try_from(rank).context("more than 65536 merges")?;
        merges.push(Merge { left: known(left)?, right: known(right)?, piece: known(&format!("{left}{right}"))?, rank });
    }
    merges.sort_by_key(|m| (m.left, m.right));
    // Of two merges of a pair the later counts, as in the library.
    merges.dedup_by(|later, earlier| {
        let same = (later.left, later.right) == (earlier.left, earlier.right);
        if same && later.rank > earlier.rank {
            *earlier = *later;
        }
        same
    });

    let byte = |b: u16| bpe.byte_fallback.then(|| id_of(&format!("<0x{b:02X}>"))).flatten().unwrap_or(NONE);
    let bytes: Vec<u16> = (0..256).map(byte).collect();
    let mut characters: Vec<u16> =
        bpe.vocab.iter().filter(|(text, _)| text.chars().count() == 1).map(|(_, &id)| id as u16).collect();
    characters.sort_by_key(|&id| texts[usize::from(id)]);
    let specials: Vec<u16> = file.added_tokens.iter().filter(|t| !t.content.is_empty()).map(|t| t.id as u16).collect();
    let joined = |id: &u16| texts[usize::from(*id)].chars().skip(1).any(|c| c == '\u{2581}');
    if flags & SPACE_SIGN != 0 && !merges.iter().any(|m| joined(&m.piece)) {
        flags |= WORDS;
    }
    if bpe.fuse_unk {
        flags |= FUSE_UNKNOWN;
    }
    let unknown =
        bpe.unk_token.as_deref().map(|text| id_of(text).context("the unknown piece is no piece")).transpose()?;
    let begins = template_bos(file.post_processor.as_ref(), &bpe.vocab)?;
    if let (Some(found), Some(wanted)) = (begins, bos) {
        ensure!(u32::from(found) == wanted, "texts begin with piece {found}, but config.json says {wanted}");
    }
    let text: String = texts.concat();
    let mut offsets = vec![0_u32];
    for piece in &texts {
        offsets.push(offsets[offsets.len() - 1] + piece.len() as u32);
    }
    let header = Header {
        pieces: count as u32,
        merges: merges.len() as u32,
        text: text.len() as u32,
        characters: characters.len() as u16,
        specials: specials.len() as u16,
        bos: begins.unwrap_or(NONE),
        eos: eos.map_or(NONE, |id| id as u16),
        unknown: unknown.unwrap_or(NONE),
        flags,
    };
    let mut section = Vec::new();
    section.extend(header.as_bytes());
    section.extend(offsets.as_bytes());
    section.extend(merges.as_bytes());
    for list in [&bytes, &characters, &specials] {
        section.extend(list.as_bytes());
    }
    section.extend(text.as_bytes());
    let section = AlignedBytes::from(section.as_slice());
    Tokenizer::verify(&section).context("the section is not valid")?;
    Ok(section)
}

/// Parts of a `Sequence`, or the one.
fn parts<'v>(value: &'v Value, list: &str) -> Vec<&'v Value> {
    match value.get(list).and_then(Value::as_array) {
        Some(parts) => parts.iter().collect(),
        None => vec![value],
    }
}

fn kind(value: &Value) -> &str {
    value.get("type").and_then(Value::as_str).unwrap_or("")
}

fn normalizer_flags(normalizer: Option<&Value>) -> Result<u16> {
    let mut flags = 0;
    for part in normalizer.map(|n| parts(n, "normalizers")).unwrap_or_default() {
        let replaces =
            || (part.pointer("/pattern/String").and_then(Value::as_str), part.get("content").and_then(Value::as_str));
        match kind(part) {
            "Prepend" if part.get("prepend").and_then(Value::as_str) == Some("\u{2581}") => flags |= PREPEND_SPACE,
            "Replace" if replaces() == (Some(" "), Some("\u{2581}")) => flags |= SPACE_SIGN,
            other => bail!("its normalizer has {other:?}: only Prepend ▁ and Replace of spaces by ▁ are supported"),
        }
    }
    Ok(flags)
}

fn decoder_flags(decoder: Option<&Value>) -> Result<u16> {
    let mut flags = 0;
    for part in decoder.map(|d| parts(d, "decoders")).unwrap_or_default() {
        match kind(part) {
            "Replace" | "ByteFallback" | "Fuse" => {}
            "Strip" => {
                let number = |name: &str| part.get(name).and_then(Value::as_u64);
                let one = number("start") == Some(1) && number("stop") == Some(0);
                ensure!(
                    one && part.get("content").and_then(Value::as_str) == Some(" "),
                    "its decoder strips otherwise than one space at the start"
                );
                flags |= STRIP_SPACE;
            }
            other => bail!("its decoder has {other:?}: only Replace, ByteFallback, Fuse and Strip are supported"),
        }
    }
    Ok(flags)
}

/// The piece before every text, if the post-processor puts one there.
fn template_bos(processor: Option<&Value>, vocabulary: &HashMap<String, u32>) -> Result<Option<u16>> {
    let Some(processor) = processor else { return Ok(None) };
    ensure!(
        kind(processor) == "TemplateProcessing",
        "its post_processor is {:?}: only TemplateProcessing is supported",
        kind(processor)
    );
    let parts = processor.get("single").and_then(Value::as_array).context("its post_processor has no template")?;
    let special = |part: &Value| part.pointer("/SpecialToken/id").and_then(Value::as_str).map(str::to_string);
    match parts.as_slice() {
        [_] => Ok(None),
        [first, _] if special(first).is_some() => {
            let text = special(first).unwrap_or_default();
            Ok(Some(*vocabulary.get(&text).with_context(|| format!("{text:?} is no piece"))? as u16))
        }
        _ => bail!("its post_processor puts more than one token before a text, or some behind it"),
    }
}
