//! The record tells requests, models and batches apart: what was asked, of which model, in which batch.

use crate::support::{TestContext, guest, of_kind};

#[test]
fn what_ran_on_each_model_is_told_apart() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("energies"), "-p", "case=models"]).ok();
    let (events, record) = (context.events(), context.record());
    let models = record["models"].as_array().unwrap();
    let told: Vec<_> = models.iter().map(|model| (&model["number"], &model["dtype"])).collect();
    assert_eq!(told, [(&0.into(), &"f32".into()), (&1.into(), &"bf16".into())]);
    for kind in ["generation", "batch-sequence", "batch-request", "score"] {
        let models: Vec<_> =
            of_kind(&events, kind).iter().map(|one| one["model"].as_u64()).collect();
        assert_eq!(models, [Some(0), Some(1)], "{kind}");
    }
    assert_eq!(record["batches"][1]["model"], 1);
    assert_eq!(record["batches"][1]["max_tokens"], 64);
    assert_eq!((&models[0]["seed"], &models[0]["digest"]), (&0.into(), &models[1]["digest"]));
    let batches: Vec<_> =
        of_kind(&events, "batch-sequence").iter().map(|one| one["batch"].as_u64()).collect();
    assert_eq!(batches, [Some(0), Some(1)]);
    let groups = record["groups"].as_array().unwrap();
    let told: Vec<_> = groups.iter().map(|group| (&group["model"], &group["requests"])).collect();
    assert_eq!(told, [(&0.into(), &2.into()), (&1.into(), &2.into())]);
    let scored: Vec<_> = record["score_groups"].as_array().unwrap().iter().collect();
    assert_eq!(scored.len(), 2);
}

#[test]
fn requests_are_recorded_as_they_were_asked() {
    let sha256 = |content: &[u8]| {
        let context = TestContext::new();
        let file = context.file("content", content);
        let told = std::process::Command::new("sha256sum").arg(file).output().unwrap();
        format!("sha256:{}", String::from_utf8(told.stdout).unwrap().split(' ').next().unwrap())
    };
    let prompt = |length: u32| (0..length).map(move |index| (index * 7 + length) % 250);
    let bytes = |length: u32| prompt(length).flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
    for keeps in [false, true] {
        let context = TestContext::new();
        let energies = guest("energies");
        let mut args = vec!["exec", &energies, "-p", "case=models", "-p", "new-tokens=3"];
        if keeps {
            args.push("--keep-prompts");
        }
        context.llem(&args).ok();
        let events = context.events();
        let asked =
            of_kind(&events, "generation").into_iter().chain(of_kind(&events, "batch-request"));
        let asked: Vec<_> = asked.collect();
        assert_eq!(asked.len(), 4);
        for (event, number) in asked.into_iter().zip([0, 2, 1, 3]) {
            let request = &event["request"];
            assert_eq!(request["number"], number, "{event}");
            assert_eq!(
                (&request["max_new_tokens"], &request["ignore_eos"]),
                (&3.into(), &true.into())
            );
            let recorded = &request["prompts"][0];
            assert_eq!(recorded["form"], "tokens");
            assert_eq!(recorded["digest"], sha256(&bytes(9)).as_str());
            let content = recorded.get("content").cloned();
            assert_eq!(content, keeps.then(|| prompt(9).collect::<Vec<_>>().into()));
        }
        let score = of_kind(&events, "score")[0];
        let asked: Vec<u8> = [2u32, 1, 2, 1, 3].into_iter().flat_map(u32::to_le_bytes).collect();
        assert_eq!(score["digest"], sha256(&asked).as_str());
        let ended = of_kind(&events, "batch-sequence");
        assert_eq!(
            ended.iter().map(|one| one["request"].as_u64()).collect::<Vec<_>>(),
            [Some(1), Some(3)]
        );
    }
}
