//! A template's syntax. Expressions lie in one list and name each other by index, so that no chain of them, however
//! long, is dropped or walked by a deep recursion that nobody counts.

use super::value::Value;
use std::rc::Rc;

/// Where an expression lies.
pub(super) type ExprId = usize;

/// A parsed template.
#[derive(Debug)]
pub(super) struct Syntax {
    pub(super) body: Vec<Node>,
    pub(super) expressions: Vec<Expr>,
}

/// A statement and its line.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) statement: Statement,
}

#[derive(Debug)]
pub(super) enum Statement {
    Text(Rc<str>),
    Print(ExprId),
    Set(Target, ExprId),
    /// `{% set x | filter %}...{% endset %}`.
    SetBlock(Target, Option<ExprId>, Vec<Node>),
    For(Rc<For>),
    /// Conditions with what they guard, and what is left.
    If(Vec<(ExprId, Vec<Node>)>, Vec<Node>),
    With(Vec<(Target, ExprId)>, Vec<Node>),
    Macro(Rc<Macro>),
    /// `{% call %}`: the call and what `caller()` renders.
    Call(ExprId, Rc<Macro>),
    FilterBlock(ExprId, Vec<Node>),
    /// transformers' mark of what the assistant says; a scope of its own.
    Generation(Vec<Node>),
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct For {
    pub(super) target: Target,
    pub(super) over: ExprId,
    pub(super) test: Option<ExprId>,
    pub(super) recursive: bool,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name: Rc<str>,
    pub(super) parameters: Vec<Rc<str>>,
    /// Of the last parameters.
    pub(super) defaults: Vec<ExprId>,
    pub(super) body: Vec<Node>,
    pub(super) special: SpecialNames,
}

/// Which names a macro mentions that make it take more than its parameters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SpecialNames {
    pub(super) caller: bool,
    pub(super) varargs: bool,
    pub(super) kwargs: bool,
}

/// What is assigned to.
#[derive(Debug)]
pub(super) enum Target {
    Name(Rc<str>),
    /// An attribute of a namespace.
    Attribute(Rc<str>, Rc<str>),
    Tuple(Vec<Target>),
}

#[derive(Debug)]
pub(super) enum Expr {
    Const(Value),
    Name(Rc<str>),
    /// The rendered body that a block's filter is applied to.
    Captured,
    Tuple(Vec<ExprId>),
    List(Vec<ExprId>),
    Dict(Vec<(ExprId, ExprId)>),
    Attribute(ExprId, Rc<str>),
    Item(ExprId, ExprId),
    /// `value[start:stop:step]`.
    Slice(ExprId, [Option<ExprId>; 3]),
    Call(ExprId, CallArguments),
    Filter(ExprId, Rc<str>, CallArguments),
    Test(ExprId, Rc<str>, CallArguments),
    Not(ExprId),
    Sign(&'static str, ExprId),
    Binary(&'static str, ExprId, ExprId),
    And(ExprId, ExprId),
    Or(ExprId, ExprId),
    Compare(ExprId, Vec<(&'static str, ExprId)>),
    Concat(Vec<ExprId>),
    Conditional {
        test: ExprId,
        yes: ExprId,
        no: Option<ExprId>,
    },
}

/// What is between a call's parentheses.
#[derive(Debug, Default)]
pub(super) struct CallArguments {
    pub(super) positional: Vec<ExprId>,
    pub(super) named: Vec<(Rc<str>, ExprId)>,
    /// `*values`.
    pub(super) all_of: Option<ExprId>,
    /// `**values`.
    pub(super) all_named_of: Option<ExprId>,
}
