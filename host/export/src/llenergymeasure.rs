//! `result.json` of a results bundle, as `ExperimentResult` in `llenergymeasure/domain/experiment.py` of LLenergyMeasure 0.7.0
//! (bundle version 2.0) reads it. That class refuses fields that it does not know, so what it has no field for is in
//! `measurement_warnings` and `reproducibility_notes`.

use crate::{
    error::Error,
    files::{NewFolder, refuse_existing},
    journal::is_preparation,
    measured::Measured,
    name::digest,
    percentiles::Percentiles,
    run::ExportedRun,
};
use llem_quantity::{Quantity, Reading};
use llem_report::visible_part;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The name of the tool in errors.
const TOOL: &str = "llenergymeasure";

/// `BUNDLE_VERSION` in `llenergymeasure/domain/bundle_artefacts.py`.
const BUNDLE_VERSION: &str = "2.0";

/// Writes a folder with a `result.json` for each run into `root`, and returns these folders.
pub(crate) fn export(runs: &[ExportedRun], root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut results = Vec::new();
    for run in runs {
        let folder = root.join(run.key(32));
        refuse_existing(&folder)?;
        results.push((folder, result(run)?));
    }
    fs::create_dir_all(root).map_err(Error::at(root))?;
    for (folder, result) in &results {
        let new = NewFolder::create(root)?;
        let path = new.path().join("result.json");
        let text = serde_json::to_vec_pretty(result).unwrap_or_default();
        fs::write(&path, text).map_err(Error::at(path))?;
        new.move_to(folder)?;
    }
    Ok(results.into_iter().map(|(folder, _)| folder).collect())
}

/// Returns the result, or the error that the run lacks what the class demands.
fn result(run: &ExportedRun) -> Result<Value, Error> {
    let record = run.record();
    let lacks = |number: &'static str, reason: &str| Error::Lacks {
        run: run.title(),
        number,
        tool: TOOL,
        reason: reason.to_owned(),
    };
    let measured =
        run.measured.as_ref().map_err(|reason| lacks("measured windows", &reason.detail))?;
    let energy =
        measured.energy.as_ref().map_err(|reason| lacks("total energy", &reason.detail))?;
    run.demand_start(TOOL)?;
    let moment = |t_ns: u64| run.moment_ms(t_ns).map(date);
    let activity = &measured.activity;
    let tokens = activity.prompt_tokens + activity.output_tokens;
    let seconds = measured.seconds();
    if activity.output_tokens == 0 || seconds == 0.0 {
        return Err(lacks("generated tokens", "it has no energy per token; leave the run out"));
    }
    let flops = activity.flops_estimated.total;
    let adjusted = measured.energy_above_idle.as_ref().ok().map(|energy| energy.value);
    let per_token_mj = |energy: f64| energy / activity.output_tokens as f64 * 1e3;
    let per_token = |tokens: u64| (flops > 0.0 && tokens > 0).then(|| flops / tokens as f64);
    let devices = devices(measured);
    Ok(json!({
        "bundle_version": BUNDLE_VERSION,
        "experiment_id": run.title(),
        "declared_config_hash": format!("llem-{}", config_hash(run)),
        "llenergymeasure_version": null,
        "serving_mode": "offline",
        "engine": "llem",
        "model_name": model_name(run),
        "input_tokens": activity.prompt_tokens,
        "output_tokens": activity.output_tokens,
        "total_tokens": tokens,
        "total_energy_j": energy.value,
        "total_inference_time_sec": seconds,
        "avg_tokens_per_second": tokens as f64 / seconds,
        "avg_energy_per_token_j": energy.value / activity.output_tokens as f64,
        "energy_per_token_mj_total": per_token_mj(energy.value),
        "energy_per_token_mj_adjusted": adjusted.map(per_token_mj),
        "total_flops": flops,
        "flops_per_output_token": per_token(activity.output_tokens),
        "flops_per_input_token": per_token(activity.prompt_tokens),
        "flops_per_second": (flops > 0.0).then(|| flops / seconds),
        "energy_adjusted_j": adjusted,
        "energy_per_device_j": devices,
        "energy_breakdown": energy_breakdown(run, energy.value, adjusted, seconds),
        "multi_gpu": devices.as_ref().filter(|devices| devices.len() > 1).map(|devices| {
            let total: f64 = devices.iter().sum();
            json!({
                "num_gpus": devices.len(),
                "energy_per_gpu_j": devices,
                "energy_total_j": total,
                "energy_per_output_token_j": total / activity.output_tokens as f64,
            })
        }),
        "measurement_warnings": run.notes(),
        "model_load_time_sec": (!record.models.is_empty()).then(|| {
            record.models.iter().map(|model| model.load_ns as f64 * 1e-9).sum::<f64>()
        }),
        "reproducibility_notes": notes(run, measured, energy),
        "start_time": moment(measured.started_ns),
        "end_time": moment(measured.ended_ns),
        "latency_stats": latency(run),
    }))
}

/// Returns the energies of the accelerators that did the work, J, if there are any and all are known.
fn devices(measured: &Measured) -> Option<Vec<f64>> {
    let each = measured.by_accelerator.iter().map(|(_, energy)| Some(energy.as_ref().ok()?.value));
    each.collect::<Option<Vec<f64>>>().filter(|devices| !devices.is_empty())
}

/// Returns a moment, ms since 1970-01-01 UTC, as pydantic reads it.
fn date(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| String::new(), |moment| moment.to_string())
}

/// Returns digits that are equal for runs of the same components, parameters, models, seed and limits.
fn config_hash(run: &ExportedRun) -> String {
    let plan = &run.record().plan;
    let digests = plan.components.iter().map(|component| &component.digest);
    let models = run.record().models.iter().map(|model| &model.digest);
    let told = json!([
        digests.collect::<Vec<_>>(),
        models.collect::<Vec<_>>(),
        plan.parameters,
        plan.grants,
        plan.seed,
        plan.limits,
    ]);
    digest(&[&told.to_string()], 16)
}

fn model_name(run: &ExportedRun) -> String {
    let models = run.record().models.iter().map(|model| visible_part(&model.source, 200));
    let names = models.collect::<Vec<_>>().join(", ");
    if run.is_simulated() { format!("simulated: {names}") } else { names }
}

/// Returns `energy_breakdown` of these joules over `seconds`.
fn energy_breakdown(run: &ExportedRun, raw: f64, adjusted: Option<f64>, seconds: f64) -> Value {
    let baseline = run.record().baselines.last().filter(|_| adjusted.is_some());
    let method = match baseline {
        Some(baseline) if baseline.from_earlier_run => "cached",
        Some(_) => "fresh",
        None => "unavailable",
    };
    json!({
        "raw_j": raw,
        "adjusted_j": adjusted,
        "baseline_power_w": adjusted.map(|adjusted| (raw - adjusted) / seconds),
        "baseline_method": method,
        "baseline_timestamp": baseline.map(|baseline| &baseline.measured_at),
        "baseline_cache_age_sec": null,
    })
}

/// Returns what the energies cover, how exact they are, and where they come from.
fn notes(run: &ExportedRun, measured: &Measured, energy: &Quantity) -> String {
    let covers = measured.covers.iter().map(|of| format!("{} {}", of.device, of.domain));
    let told = |name: &str, reading: &Reading| match reading {
        Ok(of) => format!(
            "{name} = {} +- {} {} ({})",
            of.value,
            of.uncertainty,
            of.unit,
            of.source.name()
        ),
        Err(reason) => format!("{name} is unavailable: {}", reason.detail),
    };
    let mut parts =
        vec![format!("exported by llem {} from run {}", env!("CARGO_PKG_VERSION"), run.title())];
    if run.is_simulated() {
        parts.push("SIMULATED, not measured".to_owned());
    }
    parts.push(told("total_energy_j", &Ok(energy.clone())));
    parts.push(told("energy_adjusted_j", &measured.energy_above_idle));
    parts.push(format!("energies cover {}", covers.collect::<Vec<_>>().join(", ")));
    parts.push(format!("times and energies are sums over {} windows", measured.windows));
    parts.push("FLOPs are counted from the model's shape".to_owned());
    visible_part(&parts.join("; "), 4000)
}

/// Returns `latency_stats`: of all sequences outside of load, baseline and warm-up. The ITL is trimmed as LLenergyMeasure does
/// it: of at least three times, which begin with the submission, the first and the last interval are left out. The first is
/// the TTFT, so all gaps between tokens but the last remain.
fn latency(run: &ExportedRun) -> Option<Value> {
    let (mut ttft, mut trimmed, mut full) = (Vec::new(), Vec::new(), Vec::new());
    for sequence in run.journal.sequences.iter().filter(|of| !is_preparation(&of.phase)) {
        let ms = |from: u64, to: u64| to.saturating_sub(from) as f64 * 1e-6;
        let Some(&first) = sequence.token_ns.first() else { continue };
        ttft.push(ms(sequence.submitted_ns, first));
        let gaps: Vec<f64> =
            sequence.token_ns.windows(2).map(|pair| ms(pair[0], pair[1])).collect();
        if let [inner @ .., _] = &gaps[..] {
            trimmed.extend(inner);
        }
        full.extend(gaps);
    }
    let ttft = Percentiles::new(ttft)?;
    let (trimmed, full) = (Percentiles::new(trimmed), Percentiles::new(full));
    Some(json!({
        "ttft_mean_ms": ttft.mean(),
        "ttft_median_ms": ttft.at(0.5),
        "ttft_p95_ms": ttft.at(0.95),
        "ttft_p99_ms": ttft.at(0.99),
        "ttft_min_ms": ttft.at(0.0),
        "ttft_max_ms": ttft.at(1.0),
        "ttft_samples": ttft.count(),
        "itl_mean_ms": trimmed.as_ref().map(Percentiles::mean),
        "itl_median_ms": trimmed.as_ref().map(|of| of.at(0.5)),
        "itl_p95_ms": trimmed.as_ref().map(|of| of.at(0.95)),
        "itl_p99_ms": trimmed.as_ref().map(|of| of.at(0.99)),
        "itl_samples": trimmed.as_ref().map_or(0, Percentiles::count),
        "itl_full_mean_ms": full.as_ref().map(Percentiles::mean),
        "itl_full_p99_ms": full.as_ref().map(|of| of.at(0.99)),
        "measurement_mode": "true_streaming",
    }))
}
