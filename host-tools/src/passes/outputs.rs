//! Outputs that are inputs as they are.

use anyhow::Result;

use crate::ir::Graph;
use crate::ops::reshape::Reshape;

/// Copies every input that leaves the graph, and every value that leaves it twice: an output of the device has a place of its
/// own.
pub(super) fn run(graph: &mut Graph) -> Result<()> {
    for at in 0..graph.outputs.len() {
        let value = graph.outputs[at].value;
        let twice = graph.outputs[..at].iter().any(|port| port.value == value);
        if twice || graph.inputs.iter().any(|port| port.value == value) {
            let name = graph.outputs[at].name.clone();
            let shape = graph.value(value).shape.clone();
            graph.outputs[at].value = graph.push(&name, Reshape { shape }.into(), &[value])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::passes::testing::Harness;

    #[test]
    fn an_input_that_leaves_the_graph_is_copied() {
        let h = Harness::new(&[2, 3]);
        let x = h.x;
        assert_eq!(h.check(x).1, ["Reshape"]);
    }
}
