//! Renders the statements of a template. A name is looked up in the scopes from the innermost outwards, then among the
//! variables of the caller, then among the built-in functions.

use super::{
    ast::{AssignmentTarget, ExprId, Macro, Node, Statement, Syntax},
    fuel::{Fuel, MAX_DEPTH},
    loops::LoopState,
    render_error::{RenderError, Result},
    repr::py_str,
    value::{BuiltinFunction, PyValue, StatefulKind},
};
use indexmap::IndexMap;
use jiff::civil::DateTime;
use std::rc::Rc;

/// Steps that a new scope, loop or macro takes, because each of them stays in memory.
pub(super) const STEPS_PER_SCOPE: usize = 4;

/// The variables of a block, and the index of the enclosing scope.
struct VariableScope {
    outer: Option<usize>,
    variables: Vec<(Rc<str>, PyValue)>,
}

/// A macro, and the scope in which it was defined.
#[derive(Clone)]
pub(super) struct Closure {
    pub(super) definition: Rc<Macro>,
    pub(super) scope: usize,
}

/// How the body of a block ended, which tells the enclosing loop whether to go on.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
}

/// A template that is being rendered.
pub(super) struct Interpreter<'t> {
    pub(super) syntax: &'t Syntax,
    pub(super) fuel: &'t Fuel,
    pub(super) now: DateTime,
    variables: &'t IndexMap<Rc<str>, PyValue>,
    scopes: Vec<VariableScope>,
    pub(super) scope: usize,
    /// Scopes up to this index are kept, because a macro that was defined in one of them may still be called.
    retained_scopes: usize,
    depth: usize,
    /// The text rendered so far.
    out: String,
    /// The rendered bodies of enclosing blocks with filters, innermost last.
    pub(super) captured: Vec<PyValue>,
    pub(super) namespaces: Vec<IndexMap<Rc<str>, PyValue>>,
    pub(super) loops: Vec<LoopState>,
    pub(super) macros: Vec<Closure>,
    pub(super) cyclers: Vec<(Vec<PyValue>, usize)>,
    pub(super) joiners: Vec<(PyValue, bool)>,
    /// The number of reads of a namespace attribute so far.
    pub(super) namespace_reads: usize,
    /// The number of assignments to a namespace attribute so far.
    pub(super) namespace_changes: usize,
}

impl<'t> Interpreter<'t> {
    /// Makes an interpreter that renders a template once.
    pub(super) fn new(
        syntax: &'t Syntax,
        variables: &'t IndexMap<Rc<str>, PyValue>,
        now: DateTime,
        fuel: &'t Fuel,
    ) -> Self {
        Self {
            syntax,
            fuel,
            now,
            variables,
            scopes: vec![VariableScope { outer: None, variables: Vec::new() }],
            scope: 0,
            retained_scopes: 0,
            depth: 0,
            out: String::new(),
            captured: Vec::new(),
            namespaces: Vec::new(),
            loops: Vec::new(),
            macros: Vec::new(),
            cyclers: Vec::new(),
            joiners: Vec::new(),
            namespace_reads: 0,
            namespace_changes: 0,
        }
    }

    /// Renders the whole template and returns the text.
    pub(super) fn render(mut self) -> Result<String> {
        self.run(&self.syntax.body)?;
        Ok(self.out)
    }

    /// Runs a part one nesting level deeper. Fails beyond [`MAX_DEPTH`].
    pub(super) fn descend<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.fuel.take(1)?;
        if self.depth == MAX_DEPTH {
            return Err(RenderError::unsupported(format!("it nests more than {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    /// Looks up a name. An unknown name is undefined.
    pub(super) fn name(&self, name: &str) -> Result<PyValue> {
        let mut scope = Some(self.scope);
        while let Some(at) = scope {
            let candidate = &self.scopes[at];
            if let Some((_, value)) = candidate.variables.iter().find(|(known, _)| **known == *name)
            {
                return Ok(value.clone());
            }
            scope = candidate.outer;
        }
        if let Some(value) = self.variables.get(name) {
            return Ok(value.clone());
        }
        Ok(PyValue::Function(match name {
            "range" => BuiltinFunction::Range,
            "dict" => BuiltinFunction::Dict,
            "namespace" => BuiltinFunction::Namespace,
            "cycler" => BuiltinFunction::Cycler,
            "joiner" => BuiltinFunction::Joiner,
            "lipsum" => BuiltinFunction::Lipsum,
            "raise_exception" => BuiltinFunction::RaiseException,
            "strftime_now" => BuiltinFunction::StrftimeNow,
            "self" => return Err(RenderError::unsupported("the name 'self'")),
            _ => return Ok(PyValue::Undefined(format!("'{name}' is undefined").into())),
        }))
    }

    pub(super) fn set(&mut self, name: &Rc<str>, value: PyValue) {
        let variables = &mut self.scopes[self.scope].variables;
        match variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => variables.push((name.clone(), value)),
        }
    }

    /// Runs a part in a new scope inside the scope `outer`.
    pub(super) fn in_scope<T>(
        &mut self,
        outer: usize,
        part: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.fuel.take(STEPS_PER_SCOPE)?;
        let (previous_scope, new_scope) = (self.scope, self.scopes.len());
        self.scopes.push(VariableScope { outer: Some(outer), variables: Vec::new() });
        self.scope = new_scope;
        let result = part(self);
        self.scope = previous_scope;
        if new_scope > self.retained_scopes && new_scope + 1 == self.scopes.len() {
            self.scopes.pop();
        }
        result
    }

    /// Runs a part, and returns what it renders as a value instead of adding it to the output.
    pub(super) fn capture(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<PyValue> {
        let previous_out = std::mem::take(&mut self.out);
        let result = part(self);
        let captured_text = std::mem::replace(&mut self.out, previous_out);
        result?;
        self.fuel.take_text(captured_text.len())?;
        Ok(captured_text.into())
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.fuel.take_text(text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    pub(super) fn run(&mut self, body: &[Node]) -> Result<Flow> {
        self.descend(|interpreter| {
            for node in body {
                let flow = interpreter
                    .statement(&node.statement)
                    .map_err(|error| error.with_line(node.line))?;
                if flow != Flow::Next {
                    return Ok(flow);
                }
            }
            Ok(Flow::Next)
        })
    }

    fn statement(&mut self, statement: &Statement) -> Result<Flow> {
        self.fuel.take(1)?;
        match statement {
            Statement::Text(text) => self.write(text)?,
            Statement::Print(value) => {
                let value = self.value(*value)?;
                let text = py_str(&value, self.fuel)?;
                self.write(&text)?;
            }
            Statement::Set(target, value) => {
                let value = self.value(*value)?;
                self.assign(target, value)?;
            }
            Statement::If(branches, otherwise) => {
                for (test, body) in branches {
                    if self.value(*test)?.is_true() {
                        return self.run(body);
                    }
                }
                return self.run(otherwise);
            }
            Statement::For(for_node) => {
                let over = self.value(for_node.over)?;
                self.for_loop(for_node, &over, 0)?;
            }
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
            Statement::With(values, body) => {
                let mut given = Vec::new();
                for (_, value) in values {
                    given.push(self.value(*value)?);
                }
                return self.in_scope(self.scope, |interpreter| {
                    for ((target, _), value) in values.iter().zip(given) {
                        interpreter.assign(target, value)?;
                    }
                    interpreter.run(body)
                });
            }
            Statement::Macro(definition) => {
                let name = definition.name.clone();
                let closure = self.closure(definition)?;
                self.set(&name, closure);
            }
            Statement::SetBlock(target, filter, body) => {
                let value = self.filtered(*filter, body)?;
                self.assign(target, value)?;
            }
            Statement::FilterBlock(filter, body) => {
                let value = self.filtered(Some(*filter), body)?;
                let text = py_str(&value, self.fuel)?;
                self.write(&text)?;
            }
            Statement::Generation(body) => {
                self.in_scope(self.scope, |interpreter| interpreter.run(body))?;
            }
            Statement::Call(call, caller) => {
                let caller = self.closure(caller)?;
                let value = self.call_with(*call, Some(caller))?;
                let text = py_str(&value, self.fuel)?;
                self.write(&text)?;
            }
        }
        Ok(Flow::Next)
    }

    /// Renders the body of a block and applies the filters of the block.
    fn filtered(&mut self, filter: Option<ExprId>, body: &[Node]) -> Result<PyValue> {
        self.in_scope(self.scope, |interpreter| {
            let text = interpreter.capture(|interpreter| interpreter.run(body).map(|_| ()))?;
            let Some(filter) = filter else { return Ok(text) };
            interpreter.captured.push(text);
            let value = interpreter.value(filter);
            interpreter.captured.pop();
            value
        })
    }

    fn closure(&mut self, definition: &Rc<Macro>) -> Result<PyValue> {
        self.fuel.take(STEPS_PER_SCOPE)?;
        self.retained_scopes = self.retained_scopes.max(self.scope);
        self.macros.push(Closure { definition: definition.clone(), scope: self.scope });
        Ok(PyValue::Stateful(StatefulKind::Macro, self.macros.len() - 1))
    }

    pub(super) fn assign(&mut self, target: &AssignmentTarget, value: PyValue) -> Result<()> {
        match target {
            AssignmentTarget::Name(name) => self.set(name, value),
            AssignmentTarget::Attribute(namespace, name) => {
                let PyValue::Stateful(StatefulKind::Namespace, at) = self.name(namespace)? else {
                    return Err(RenderError::invalid(
                        "cannot assign attribute on non-namespace object",
                    ));
                };
                check_namespace_name(name)?;
                self.fuel.take(1)?;
                self.namespace_changes += 1;
                self.namespaces[at].insert(name.clone(), value);
            }
            AssignmentTarget::Tuple(targets) => {
                let values = value.iterate()?;
                self.fuel.take(values.len())?;
                let (wanted, given) = (targets.len(), values.len());
                if given != wanted {
                    return Err(RenderError::invalid(match given < wanted {
                        true => {
                            format!("not enough values to unpack (expected {wanted}, got {given})")
                        }
                        false => format!("too many values to unpack (expected {wanted})"),
                    }));
                }
                for (target, value) in targets.iter().zip(values) {
                    self.assign(target, value)?;
                }
            }
        }
        Ok(())
    }
}

/// Fails for an attribute name that transformers does not allow in a namespace.
pub(super) fn check_namespace_name(name: &str) -> Result<()> {
    match name.starts_with('_') {
        true => Err(RenderError::invalid(format!(
            "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '{name}'."
        ))),
        false => Ok(()),
    }
}
