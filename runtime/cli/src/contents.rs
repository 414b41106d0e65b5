//! What a component consists of, for `wattest inspect`.
//!
//! Imports and exports with their types as WIT spells them, and the core modules within. What lies in instances is named
//! by its path, so that the list is flat however deep they are.
//!
//! Invariant: imports are those that instantiating needs; nothing of the component runs.
//!
//! Does not know: core modules beyond their sizes and counts.

use serde_json::json;
use std::path::Path;
use wattest::component::{Component, ComponentItem};

/// Names from the component inwards, and what they lead to.
type Item = (Vec<String>, String);

/// The description, as text or JSON.
pub fn show(path: &Path, bytes: usize, component: &Component, as_json: bool) -> String {
    match as_json {
        true => format!("{:#}\n", to_json(path, bytes, component)),
        false => to_text(path, bytes, component),
    }
}

fn imports(component: &Component) -> Vec<Item> {
    component.imports().into_iter().map(|(path, item)| (path, item.to_string())).collect()
}

/// All exports in order, each instance before what it contains.
fn exports(component: &Component) -> Vec<Item> {
    let mut rows = Vec::new();
    let mut open: Vec<(Vec<String>, ComponentItem)> = Vec::new();
    open.extend(component.exports().into_iter().rev().map(|(name, item)| (vec![name], item)));
    while let Some((path, item)) = open.pop() {
        let text = item.to_string();
        if let ComponentItem::Instance(items) = item {
            let inner = items.into_iter().rev();
            open.extend(inner.map(|(name, item)| (path.iter().cloned().chain([name]).collect(), item)));
        }
        rows.push((path, text));
    }
    rows
}

fn to_json(path: &Path, bytes: usize, component: &Component) -> serde_json::Value {
    let items = |items: Vec<Item>| -> Vec<_> {
        items.into_iter().map(|(path, ty)| json!({ "path": path, "type": ty })).collect()
    };
    let modules: Vec<_> = component
        .core_modules()
        .iter()
        .map(|row| {
            json!({
                "name": row.module.name(),
                "bytes": row.bytes,
                "imports": row.module.imports().len(),
                "exports": row.module.exports().len(),
            })
        })
        .collect();
    json!({
        "file": path.display().to_string(),
        "kind": "component",
        "bytes": bytes,
        "imports": items(imports(component)),
        "exports": items(exports(component)),
        "core-modules": modules,
        "adapter-modules": component.adapter_modules(),
    })
}

fn to_text(path: &Path, bytes: usize, component: &Component) -> String {
    let mut lines = vec![format!("{}: component, {bytes} bytes", path.display())];
    for (what, items) in [("imports", imports(component)), ("exports", exports(component))] {
        lines.push(format!("{what} ({}):", items.len()));
        lines.extend(items.iter().map(|(path, ty)| {
            let path: Vec<_> = path.iter().map(|name| format!("{name:?}")).collect();
            format!("  {}: {ty}", path.join(" "))
        }));
    }
    let modules = component.core_modules();
    lines.push(format!("core modules ({}):", modules.len()));
    lines.extend(modules.iter().map(|row| {
        let (imports, exports) = (row.module.imports().len(), row.module.exports().len());
        let name = row.module.name().unwrap_or("unnamed").escape_debug().to_string();
        format!("  {name:<24} {:>10} bytes, {imports} import(s), {exports} export(s)", row.bytes)
    }));
    lines.push(format!("adapter modules: {}", component.adapter_modules()));
    lines.join("\n") + "\n"
}
