//! `--max-arena`: random convolutions one after another give the same bits however little room they have.

use ndarray::ArrayD;
use proptest::prelude::*;
use teff::format::{OpIssue, VerifyError};
use teff::ops::CONV_CHAIN;
use teff::ops::conv_chain::Stage;
use teff::{Model, Session};
use teff_tests::cases::{Case, Layer, chain};
use teff_tests::surgery::Patient;
use teff_tools::aligned::AlignedBytes;
use teff_tools::convert::{Converted, Options, convert};
use teff_tools::ops::conv2d::Conv2d;
use teff_tools::quantize::Width;
use zerocopy::FromBytes;

fn converted(case: &Case, activations: Width, max_arena: Option<usize>) -> anyhow::Result<Converted> {
    convert(&case.graph, &case.samples, &Options { activations, max_arena, ..Options::default() }, &|| {})
}

/// The bytes of the output for a sample.
fn output(model: &Model<'_>, sample: &[ArrayD<f32>]) -> Vec<u8> {
    teff_tools::interpreter::Interpreter::new(model).run(sample).expect("it runs").remove(0).bytes
}

/// What becomes a layer once it is known how many channels it reads.
#[derive(Debug, Clone)]
enum Kind {
    Conv {
        op: Conv2d,
        filters: usize,
    },
    /// So many filters for each channel.
    Depthwise {
        op: Conv2d,
        multiplier: usize,
    },
    Product {
        filters: usize,
    },
}

fn kind() -> impl Strategy<Value = Kind> {
    let pair = |range: std::ops::Range<usize>| [range.clone(), range];
    let window = (pair(1..4), pair(1..3), pair(1..3), [0..3_usize, 0..3, 0..3, 0..3], any::<bool>());
    let op = window.prop_map(|(kernel, stride, dilation, pad, usual)| match usual {
        true => {
            Conv2d { kernel: [3; 2], stride: [stride[0]; 2], dilation: [1; 2], pad: [1; 4], groups: 1, clamp: None }
        }
        false => Conv2d { kernel, stride, dilation, pad, groups: 1, clamp: None },
    });
    (op, 0..5, 1..9_usize).prop_map(|(op, kind, filters)| match kind {
        0 | 1 => Kind::Conv { op, filters },
        2 | 3 => Kind::Depthwise { op, multiplier: 1 + filters / 7 },
        _ => Kind::Product { filters },
    })
}

/// The layers as far as the image has room for their windows.
fn case(image: [usize; 4], kinds: &[Kind]) -> Option<Case> {
    let ([_, mut height, mut width, mut channels], mut layers) = (image, Vec::new());
    for kind in kinds {
        let (op, filters) = match kind {
            Kind::Conv { op, filters } => (op.clone(), *filters),
            Kind::Depthwise { op, multiplier } => (Conv2d { groups: channels, ..op.clone() }, channels * multiplier),
            Kind::Product { filters } => {
                layers.push(Layer::Product(*filters));
                channels = *filters;
                continue;
            }
        };
        let out = |axis: usize, len: usize| {
            let reach = (op.kernel[axis] - 1) * op.dilation[axis] + 1;
            Some((len + op.pad[axis] + op.pad[axis + 2]).checked_sub(reach)? / op.stride[axis] + 1)
        };
        let (Some(h), Some(w)) = (out(0, height), out(1, width)) else { break };
        layers.push(Layer::Conv(op, filters));
        (height, width, channels) = (h, w, filters);
    }
    (!layers.is_empty()).then(|| chain("random", image, &layers).expect("the shapes fit"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bands_give_the_bits_of_whole_images(
        size in [4..20_usize, 1..12, 1..4],
        kinds in prop::collection::vec(kind(), 2..10),
        int16 in any::<bool>(),
    ) {
        let [height, width, channels] = size;
        let Some(case) = case([1, height, width, channels], &kinds) else { return Ok(()) };
        let activations = if int16 { Width::Int16 } else { Width::Int8 };
        let whole = converted(&case, activations, None).expect("it converts");
        let whole = Model::verify(&whole.file).expect("it is sound");
        let expected: Vec<_> = case.samples.iter().map(|sample| output(&whole, sample)).collect();
        let mut smallest = whole.arena_len();
        let refusal = loop {
            let found = match converted(&case, activations, Some(smallest - 1)) {
                Ok(found) => found,
                Err(error) => break format!("{error:#}"),
            };
            let model = Model::verify(&found.file).expect("it is sound");
            prop_assert!(model.arena_len() < smallest && model.arena_len() == found.plan.arena_len);
            let computed: usize = found.chains.iter().map(|chain| chain.nodes.len() - 1).sum();
            prop_assert_eq!(model.steps().count() + computed, whole.steps().count());
            for (sample, expected) in case.samples.iter().zip(&expected) {
                prop_assert_eq!(&output(&model, sample), expected, "in {} bytes", model.arena_len());
            }
            let mut memory = AlignedBytes::zeroed(model.memory_len());
            Session::new(&model, &mut memory).expect("it fits").self_test().expect("the converter's bits");
            smallest = model.arena_len();
        };
        prop_assert!(refusal.contains("most lives at node node"), "{refusal}");
    }
}

#[test]
fn a_chain_that_lies_is_refused() {
    type Edit<'e> = &'e dyn Fn(&mut [Stage]);
    let cases = teff_tests::cases::all().into_iter().find(|(name, _)| *name == "conv_chain").expect("it is there").1;
    let sound =
        convert(&cases[1].graph, &cases[1].samples, &cases[1].options(Width::Int8), &|| {}).expect("it converts");
    let model = Model::verify(&sound.file).expect("it is sound");
    let step = model.steps().find(|step| step.op.id == CONV_CHAIN.id).expect("a chain");
    let stages: &[Stage] = step.params().expect("stages");
    assert_eq!(stages.len(), 3);
    let start = sound.file.windows(step.params.len()).position(|bytes| bytes == step.params).expect("they are there");
    let refused = |edit: Edit<'_>| {
        let mut forged = Patient::new(&sound.file);
        let params = &mut forged.bytes[start..start + step.params.len()];
        edit(<[Stage]>::mut_from_bytes(params).expect("stages"));
        forged.seal();
        match Model::verify(&forged.bytes).err() {
            Some(VerifyError::Step { issue, .. }) => Some(issue),
            other => panic!("{other:?}"),
        }
    };
    let edits: [(OpIssue, Edit<'_>); 11] = [
        (OpIssue::Params, &|s| s[0].rows = 0),
        (OpIssue::Params, &|s| s[0].zero_point = 128),
        (OpIssue::Quantization, &|s| s[2].zero_point ^= 1),
        (OpIssue::Shape, &|s| s[0].output[0] += 1),
        (OpIssue::Shape, &|s| s[1].conv.stride = [2, 2]),
        (OpIssue::Shape, &|s| s[1].conv.groups = 3),
        (OpIssue::Shape, &|s| s[1].conv.groups = 0),
        (OpIssue::Params, &|s| s[1].conv.limits.max = -129),
        (OpIssue::Params, &|s| s[2].conv.reserved = 1),
        // A row above the image that no window of the first stage touches, taken back below the second.
        (OpIssue::Params, &|s| {
            (s[0].conv.pad[0], s[0].output[0], s[1].conv.pad[2]) = (1, s[0].output[0] + 1, s[1].conv.pad[2] - 1);
        }),
        (OpIssue::Scratch, &|s| s[1].rows = u16::MAX),
    ];
    for (at, (issue, edit)) in edits.into_iter().enumerate() {
        assert_eq!(refused(edit), Some(issue), "edit {at}");
    }
}

#[test]
fn a_model_that_fits_stays_as_it_is() {
    let case = &teff_tests::cases::all().into_iter().find(|(name, _)| *name == "conv2d").expect("it is there").1[0];
    let plain = converted(case, Width::Int8, None).expect("it converts");
    let limited = converted(case, Width::Int8, Some(plain.plan.arena_len)).expect("it fits");
    assert!(limited.chains.is_empty() && limited.file[..] == plain.file[..]);
}
