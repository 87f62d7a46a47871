//! Runs the loops of a template.

use super::{
    ast::For,
    interpreter::{Flow, Interpreter, STEPS_PER_SCOPE},
    render_error::{RenderError, Result},
    value::{PyValue, StatefulKind},
};
use std::rc::Rc;

/// A loop that is running or has run.
pub(super) struct LoopState {
    pub(super) items: Vec<PyValue>,
    /// The index of the current item, from 0.
    pub(super) index: usize,
    /// How often `loop(...)` was called recursively to get here.
    pub(super) depth: usize,
    /// The loop that `loop(...)` renders again, and the scope in which it is defined. `None` unless it is `recursive`.
    pub(super) recursive: Option<(Rc<For>, usize)>,
    /// The last arguments of `loop.changed`.
    pub(super) changed: Option<Vec<PyValue>>,
}

impl Interpreter<'_> {
    /// Runs a loop over the items of a value.
    pub(super) fn for_loop(
        &mut self,
        for_node: &Rc<For>,
        over: &PyValue,
        depth: usize,
    ) -> Result<()> {
        let outer = self.scope;
        let mut items = over.iterate()?;
        self.fuel.take(STEPS_PER_SCOPE + items.len())?;
        let reads = self.namespace_reads;
        if let Some(test) = for_node.test {
            let mut kept = Vec::new();
            for item in items {
                let holds = self.in_scope(outer, |interpreter| {
                    interpreter.assign(&for_node.target, item.clone())?;
                    Ok(interpreter.value(test)?.is_true())
                })?;
                if holds {
                    kept.push(item);
                }
            }
            items = kept;
        }
        // Jinja2 tests each item just before its iteration. Here all items were tested first, which differs if the body
        // changes a namespace that the test reads.
        let (is_early, changes) = (self.namespace_reads > reads, self.namespace_changes);
        let (count, at) = (items.len(), self.loops.len());
        let recursive = for_node.recursive.then(|| (for_node.clone(), outer));
        self.loops.push(LoopState { items, index: 0, depth, recursive, changed: None });
        let mut completed = false;
        for index in 0..count {
            if is_early && self.namespace_changes > changes {
                return Err(RenderError::unsupported(
                    "a loop that changes what its own condition reads",
                ));
            }
            self.loops[at].index = index;
            let item = self.loops[at].items[index].clone();
            let flow = self.in_scope(outer, |interpreter| {
                interpreter.set(&"loop".into(), PyValue::Stateful(StatefulKind::Loop, at));
                interpreter.assign(&for_node.target, item)?;
                interpreter.run(&for_node.body)
            })?;
            completed |= flow == Flow::Next;
            if flow == Flow::Break {
                break;
            }
        }
        // As in Jinja2, `else` runs unless one iteration reached the end of the body.
        if !completed && !for_node.otherwise.is_empty() {
            self.in_scope(outer, |interpreter| interpreter.run(&for_node.otherwise))?;
        }
        Ok(())
    }

    /// Evaluates `loop(value)`: renders a recursive loop over another value.
    pub(super) fn recurse(&mut self, at: usize, value: &PyValue) -> Result<PyValue> {
        let depth = self.loops[at].depth + 1;
        let Some((for_node, scope)) = self.loops[at].recursive.clone() else {
            return Err(RenderError::invalid(
                "The loop must have the 'recursive' marker to be called recursively.",
            ));
        };
        let around = std::mem::replace(&mut self.scope, scope);
        let result = self.descend(|interpreter| {
            interpreter.capture(|interpreter| interpreter.for_loop(&for_node, value, depth))
        });
        self.scope = around;
        result
    }
}
