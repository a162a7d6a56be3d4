//! Drops the values that nothing refers to any more.

use std::collections::HashMap;

use crate::ir::{Graph, ValueId};

/// Renumbers the values in the order of their use: inputs first, then node by node.
pub(super) fn run(graph: &mut Graph) {
    graph.prune();
    let mut order: Vec<ValueId> = graph.inputs.iter().map(|p| p.value).collect();
    for node in &graph.nodes {
        order.extend(node.inputs.iter().chain(&node.outputs));
    }
    order.extend(graph.outputs.iter().map(|p| p.value));
    order.extend(graph.states.iter().flat_map(|s| [s.input.value, s.output.value]));
    let mut places: HashMap<ValueId, ValueId> = HashMap::new();
    let mut values = Vec::new();
    for id in order {
        places.entry(id).or_insert_with(|| {
            values.push(graph.value(id).clone());
            ValueId(values.len() - 1)
        });
    }
    let states = graph.states.iter_mut().flat_map(|s| [&mut s.input, &mut s.output]);
    let ports = graph.inputs.iter_mut().chain(&mut graph.outputs).chain(states).map(|p| &mut p.value);
    let operands = graph.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut().chain(&mut n.outputs));
    for id in ports.chain(operands) {
        *id = places[id];
    }
    graph.values = values;
}

#[cfg(test)]
mod tests {
    use crate::ops::clamp::Clamp;
    use crate::passes::testing::Harness;

    #[test]
    fn dead_nodes_and_values_go() {
        let mut h = Harness::new(&[2]);
        h.weight(&[5]);
        h.push(Clamp::RELU, &[h.x]);
        let y = h.push(Clamp { min: 0.5, max: 1.0 }, &[h.x]);
        let (graph, names) = h.check(y);
        assert_eq!((names.len(), graph.values.len()), (1, 2));
    }
}
