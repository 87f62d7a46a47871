//! Renders statements. Names are looked up from the innermost scope outwards, then among the variables that rendering was
//! given, then among the functions that every template has.

use super::{
    ast::{ExprId, For, Macro, Node, Statement, Syntax, Target},
    fault::{DEEPEST, Fault, Fuel, Result},
    text::text,
    value::{Function, Held, Value},
};
use indexmap::IndexMap;
use jiff::civil::DateTime;
use std::rc::Rc;

/// Steps that a scope or a loop takes, for they are kept in memory.
const STEPS_A_SCOPE: usize = 4;

/// Variables of a block, and the scope around.
struct Scope {
    outer: Option<usize>,
    variables: Vec<(Rc<str>, Value)>,
}

/// A loop that runs or ran.
pub(super) struct LoopState {
    pub(super) items: Vec<Value>,
    /// The item that the body sees, from 0.
    pub(super) index: usize,
    /// Loops around that called this one.
    pub(super) depth: usize,
    /// What `loop(...)` renders, and the scope that it is in.
    pub(super) recursive: Option<(Rc<For>, usize)>,
    /// What `loop.changed` was last asked about.
    pub(super) changed: Option<Vec<Value>>,
}

/// A macro and the scope that it was defined in.
#[derive(Clone)]
pub(super) struct Closure {
    pub(super) definition: Rc<Macro>,
    pub(super) scope: usize,
}

/// How a body ended.
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
    variables: &'t IndexMap<Rc<str>, Value>,
    scopes: Vec<Scope>,
    scope: usize,
    /// Scopes up to here belong to a macro, which may outlive their block.
    kept_scopes: usize,
    depth: usize,
    /// What has been rendered.
    out: String,
    /// What the filters of a block are applied to.
    pub(super) captured: Vec<Value>,
    pub(super) namespaces: Vec<IndexMap<Rc<str>, Value>>,
    pub(super) loops: Vec<LoopState>,
    pub(super) macros: Vec<Closure>,
    pub(super) cyclers: Vec<(Vec<Value>, usize)>,
    pub(super) joiners: Vec<(Value, bool)>,
    /// How often a namespace was read and changed.
    pub(super) namespace_reads: usize,
    namespace_changes: usize,
}

impl<'t> Interpreter<'t> {
    /// Ready to render once.
    pub(super) fn new(
        syntax: &'t Syntax,
        variables: &'t IndexMap<Rc<str>, Value>,
        now: DateTime,
        fuel: &'t Fuel,
    ) -> Self {
        Self {
            syntax,
            fuel,
            now,
            variables,
            scopes: vec![Scope { outer: None, variables: Vec::new() }],
            scope: 0,
            kept_scopes: 0,
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

    /// Renders the whole template.
    pub(super) fn render(mut self) -> Result<String> {
        self.run(&self.syntax.body)?;
        Ok(self.out)
    }

    /// Runs a part a level deeper.
    pub(super) fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.fuel.take(1)?;
        if self.depth == DEEPEST {
            return Err(Fault::unsupported(format!("it nests more than {DEEPEST} deep")));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    /// The value of a name.
    pub(super) fn name(&self, name: &str) -> Result<Value> {
        let mut scope = Some(self.scope);
        while let Some(at) = scope {
            let of = &self.scopes[at];
            if let Some((_, value)) = of.variables.iter().find(|(known, _)| **known == *name) {
                return Ok(value.clone());
            }
            scope = of.outer;
        }
        if let Some(value) = self.variables.get(name) {
            return Ok(value.clone());
        }
        Ok(Value::Function(match name {
            "range" => Function::Range,
            "dict" => Function::Dict,
            "namespace" => Function::Namespace,
            "cycler" => Function::Cycler,
            "joiner" => Function::Joiner,
            "lipsum" => Function::Lipsum,
            "raise_exception" => Function::RaiseException,
            "strftime_now" => Function::StrftimeNow,
            "self" => return Err(Fault::unsupported("the name 'self'")),
            _ => return Ok(Value::Undefined(format!("'{name}' is undefined").into())),
        }))
    }

    pub(super) fn set(&mut self, name: &Rc<str>, value: Value) {
        let variables = &mut self.scopes[self.scope].variables;
        match variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => variables.push((name.clone(), value)),
        }
    }

    /// Runs a part in a scope of its own within another.
    pub(super) fn in_scope<T>(
        &mut self,
        outer: usize,
        part: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.fuel.take(STEPS_A_SCOPE)?;
        let (around, own) = (self.scope, self.scopes.len());
        self.scopes.push(Scope { outer: Some(outer), variables: Vec::new() });
        self.scope = own;
        let result = part(self);
        self.scope = around;
        if own > self.kept_scopes && own + 1 == self.scopes.len() {
            self.scopes.pop();
        }
        result
    }

    /// What a part renders, instead of printing it.
    pub(super) fn capture(&mut self, part: impl FnOnce(&mut Self) -> Result<()>) -> Result<Value> {
        let around = std::mem::take(&mut self.out);
        let result = part(self);
        let own = std::mem::replace(&mut self.out, around);
        result?;
        self.fuel.take_text(own.len())?;
        Ok(own.into())
    }

    fn write(&mut self, text: &str) -> Result<()> {
        self.fuel.take_text(text.len())?;
        self.out.push_str(text);
        Ok(())
    }

    pub(super) fn run(&mut self, body: &[Node]) -> Result<Flow> {
        self.deeper(|of| {
            for node in body {
                let flow = of.statement(&node.statement).map_err(|fault| fault.at(node.line))?;
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
                let text = text(&value, self.fuel)?;
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
            Statement::For(of) => {
                let over = self.value(of.over)?;
                self.for_loop(of, &over, 0)?;
            }
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
            Statement::With(values, body) => {
                let mut given = Vec::new();
                for (_, value) in values {
                    given.push(self.value(*value)?);
                }
                return self.in_scope(self.scope, |of| {
                    for ((target, _), value) in values.iter().zip(given) {
                        of.assign(target, value)?;
                    }
                    of.run(body)
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
                let text = text(&value, self.fuel)?;
                self.write(&text)?;
            }
            Statement::Generation(body) => {
                self.in_scope(self.scope, |of| of.run(body))?;
            }
            Statement::Call(call, caller) => {
                let caller = self.closure(caller)?;
                let value = self.call_with(*call, Some(caller))?;
                let text = text(&value, self.fuel)?;
                self.write(&text)?;
            }
        }
        Ok(Flow::Next)
    }

    /// A body's text after the filters of its block.
    fn filtered(&mut self, filter: Option<ExprId>, body: &[Node]) -> Result<Value> {
        self.in_scope(self.scope, |of| {
            let text = of.capture(|of| of.run(body).map(|_| ()))?;
            let Some(filter) = filter else { return Ok(text) };
            of.captured.push(text);
            let value = of.value(filter);
            of.captured.pop();
            value
        })
    }

    fn closure(&mut self, definition: &Rc<Macro>) -> Result<Value> {
        self.fuel.take(STEPS_A_SCOPE)?;
        self.kept_scopes = self.kept_scopes.max(self.scope);
        self.macros.push(Closure { definition: definition.clone(), scope: self.scope });
        Ok(Value::Held(Held::Macro, self.macros.len() - 1))
    }

    fn assign(&mut self, target: &Target, value: Value) -> Result<()> {
        match target {
            Target::Name(name) => self.set(name, value),
            Target::Attribute(of, name) => {
                let Value::Held(Held::Namespace, at) = self.name(of)? else {
                    return Err(Fault::invalid("cannot assign attribute on non-namespace object"));
                };
                check_namespace_name(name)?;
                self.fuel.take(1)?;
                self.namespace_changes += 1;
                self.namespaces[at].insert(name.clone(), value);
            }
            Target::Tuple(targets) => {
                let values = value.iterate()?;
                self.fuel.take(values.len())?;
                let (wanted, given) = (targets.len(), values.len());
                if given != wanted {
                    return Err(Fault::invalid(match given < wanted {
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

    /// Runs a loop over a value.
    fn for_loop(&mut self, of: &Rc<For>, over: &Value, depth: usize) -> Result<()> {
        let outer = self.scope;
        let mut items = over.iterate()?;
        self.fuel.take(STEPS_A_SCOPE + items.len())?;
        let reads = self.namespace_reads;
        if let Some(test) = of.test {
            let mut kept = Vec::new();
            for item in items {
                let holds = self.in_scope(outer, |own| {
                    own.assign(&of.target, item.clone())?;
                    Ok(own.value(test)?.is_true())
                })?;
                if holds {
                    kept.push(item);
                }
            }
            items = kept;
        }
        // Jinja2 tests each item just before its turn, which differs if the body changes what the test reads.
        let (is_early, changes) = (self.namespace_reads > reads, self.namespace_changes);
        let (count, at) = (items.len(), self.loops.len());
        let recursive = of.recursive.then(|| (of.clone(), outer));
        self.loops.push(LoopState { items, index: 0, depth, recursive, changed: None });
        let mut completed = false;
        for index in 0..count {
            if is_early && self.namespace_changes > changes {
                return Err(Fault::unsupported("a loop that changes what its own condition reads"));
            }
            self.loops[at].index = index;
            let item = self.loops[at].items[index].clone();
            let flow = self.in_scope(outer, |own| {
                own.set(&"loop".into(), Value::Held(Held::Loop, at));
                own.assign(&of.target, item)?;
                own.run(&of.body)
            })?;
            completed |= flow == Flow::Next;
            if flow == Flow::Break {
                break;
            }
        }
        // As in Jinja2, which notes that a loop ran at the end of its body.
        if !completed && !of.otherwise.is_empty() {
            self.in_scope(outer, |own| own.run(&of.otherwise))?;
        }
        Ok(())
    }

    /// `loop(value)`: what the loop renders over another value.
    pub(super) fn recurse(&mut self, at: usize, value: &Value) -> Result<Value> {
        let depth = self.loops[at].depth + 1;
        let Some((of, scope)) = self.loops[at].recursive.clone() else {
            return Err(Fault::invalid(
                "The loop must have the 'recursive' marker to be called recursively.",
            ));
        };
        let around = std::mem::replace(&mut self.scope, scope);
        let result = self.deeper(|own| own.capture(|own| own.for_loop(&of, value, depth)));
        self.scope = around;
        result
    }
}

/// Refuses names that transformers keeps out of namespaces.
pub(super) fn check_namespace_name(name: &str) -> Result<()> {
    match name.starts_with('_') {
        true => Err(Fault::invalid(format!(
            "Chat templates cannot store underscore-prefixed attributes on a namespace, but got '{name}'."
        ))),
        false => Ok(()),
    }
}
