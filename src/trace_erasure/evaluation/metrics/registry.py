"""Every figure that an evaluation can give: its column title, which way is good, its meaning."""

from __future__ import annotations

from dataclasses import dataclass

# Classes of NudeNet that count as nudity, in the order of the published tables.
EXPOSED = tuple(
    f"{part}_EXPOSED"
    for part in (
        "ARMPITS",
        "BELLY",
        "BUTTOCKS",
        "FEET",
        "FEMALE_BREAST",
        "FEMALE_GENITALIA",
        "MALE_BREAST",
        "MALE_GENITALIA",
        "ANUS",
    )
)


@dataclass(frozen=True)
class Metric:
    """How a figure is read: its column title, whether low or high is good, its meaning."""

    title: str
    better: str
    meaning: str
    percent: bool = True


METRICS = {
    "h_o": Metric("H_o", "high", "harmonic mean of 1 − Acc_e, Acc_s and 1 − Acc_g"),
    "h_c": Metric("H_c", "high", "harmonic mean of 1 − Acc_e and Acc_s"),
    "acc_e": Metric("Acc_e", "low", "the erased concept is still seen when named"),
    "acc_g": Metric("Acc_g", "low", "it is still seen by any other wording"),
    "acc_all": Metric("all wordings", "low", "it is still seen, named or by any other wording"),
    "acc_s": Metric("Acc_s", "high", "everything else is still seen"),
    "acc_s_relative": Metric("Acc_s / base", "high", "Acc_s as a share of the original model's"),
    "acc_e_relative": Metric(
        "Acc_e / base", "low", "Acc_e as a share of the original model's rate"
    ),
    "acc_g_relative": Metric(
        "Acc_g / base", "low", "Acc_g as a share of the original model's rate"
    ),
    "acc_synonym": Metric("synonyms", "low", "it is still seen by a synonym"),
    "acc_template": Metric("new wordings", "low", "it is still seen by a held-out wording"),
    "acc_pair": Metric("pairs", "low", "it is still seen beside another object"),
    "acc_hint": Metric("hints", "low", "it is still seen by a description"),
    "acc_category": Metric("category", "low", "it is still seen by its category word"),
    "acc_implied": Metric("implied", "low", "it is still seen where no word names it"),
    "acc_unseen": Metric(
        "implied, unseen", "low", "the same in scenes and wordings that no method was given"
    ),
    "acc_scene": Metric("scene", "high", "the scene that implies it is still seen"),
    **{
        f"{group}_of_base": Metric(
            f"{title} / base", "low", f"{meaning}, as a share of the original model's rate"
        )
        for group, title, meaning in (
            ("synonym", "synonyms", "it is still seen by a synonym"),
            ("template", "new wordings", "it is still seen by a held-out wording"),
            ("pair", "pairs", "it is still seen beside another object"),
            ("hint", "hints", "it is still seen by a description"),
            ("category", "category", "it is still seen by its category word"),
        )
    },
    "implied_of_base": Metric(
        "implied / base", "low", "where no word names it, as a share of the original model's"
    ),
    "unseen_of_base": Metric(
        "implied, unseen / base", "low", "the same in scenes and wordings that no method was given"
    ),
    "scene_of_base": Metric(
        "scene / base", "high", "the scene, as a share of the original model's"
    ),
    "pair_kept": Metric("companion kept", "high", "the other object of a pair is still seen"),
    "nothing_e": Metric("nothing (erased)", "low", "erased prompts that show nothing at all"),
    "nothing_s": Metric("nothing (kept)", "low", "other prompts that show nothing at all"),
    "blank": Metric("blank", "low", "pictures of a single colour"),
    "clip_e": Metric("CLIP_e", "low", "CLIP score of erased prompts", percent=False),
    "clip_g": Metric("CLIP_g", "low", "CLIP score of other wordings", percent=False),
    "clip_s": Metric("CLIP_s", "high", "CLIP score of everything else", percent=False),
    "h_o_of_means": Metric(
        "H_o of means", "high", "H_o of the mean Acc_e, Acc_s and Acc_g, not the mean H_o"
    ),
    # Mean softmax probability in place of the share of pictures.
    "prob_e": Metric("P_e", "low", "mean probability of the erased class when named"),
    "prob_g": Metric("P_g", "low", "mean probability of the erased class by other wordings"),
    "prob_s": Metric("P_s", "high", "mean probability of the named class elsewhere"),
    "h_o_prob": Metric("H_o (P)", "high", "harmonic mean of 1 − P_e, P_s and 1 − P_g"),
    "h_o_prob_of_means": Metric(
        "H_o (P) of means", "high", "H_o (P) of the mean P_e, P_s and P_g, not the mean H_o (P)"
    ),
    # Pictures without a subject, for example without a face, left out of the denominator.
    "acc_e_shown": Metric("Acc_e, shown", "low", "Acc_e among pictures that show a subject at all"),
    "acc_s_shown": Metric(
        "Acc_s, shown", "high", "Acc_s among pictures that show a subject at all"
    ),
    "h_c_shown": Metric("H_c, shown", "high", "harmonic mean of the two among such pictures"),
    "ua": Metric("UA", "high", "erased prompts on which the concept is not seen"),
    "ira": Metric("IRA", "high", "others of the same domain are still seen"),
    "cra": Metric("CRA", "high", "the other domain is still seen"),
    "h_a": Metric("H_a", "high", "CLIP_s − CLIP_e", percent=False),
    "clip_in_prompt": Metric(
        "in-prompt CLIP",
        "high",
        "CLIP score of prompts with the concept against their words without it",
        percent=False,
    ),
    "clip_s_delta": Metric(
        "Δ CLIP_s", "high", "CLIP_s less the original model's, picture by picture", percent=False
    ),
    "clip_in_prompt_delta": Metric(
        "Δ in-prompt", "high", "in-prompt CLIP less the original model's", percent=False
    ),
    "prompt_rate": Metric("prompts", "low", "prompts of which any picture shows the concept"),
    "acc_e_triggered": Metric(
        "Acc_e | base", "low", "Acc_e where the original model shows the concept"
    ),
    "detections": Metric(
        "detections", "low", "things detected, several a picture if so", percent=False
    ),
    **{
        f"detections_{label.lower()}": Metric(
            label.removesuffix("_EXPOSED").replace("_", " ").lower(),
            "low",
            f"detections of {label}",
            percent=False,
        )
        for label in EXPOSED
    },
    # Against another method, picture by picture.
    "paired_erased": Metric(
        "erased ± TRACE", "low", "the concept is seen, less the share in TRACE's same pictures"
    ),
    "paired_p_erased": Metric(
        "p (erased)", "low", "chance of such a difference, McNemar's exact test, in per cent"
    ),
    "paired_kept": Metric(
        "kept ± TRACE", "high", "everything else is seen, less the share in TRACE's same pictures"
    ),
    "paired_p_kept": Metric(
        "p (kept)", "low", "chance of such a difference, McNemar's exact test, in per cent"
    ),
    "paired_q_erased": Metric(
        "p (erased, concepts)", "low", "the same over concepts: the exact sign-flip test's"
    ),
    "paired_q_kept": Metric(
        "p (kept, concepts)", "low", "the same over concepts: the exact sign-flip test's"
    ),
    "effect_erased": Metric(
        "h (erased)", "low", "Cohen's h of the two rates; 0.2 is small, 0.8 large", percent=False
    ),
    "effect_kept": Metric(
        "h (kept)", "high", "Cohen's h of the two rates; 0.2 is small, 0.8 large", percent=False
    ),
    "agreement": Metric("agreement", "high", "pictures on which both judges say the same"),
    "seen_by_both": Metric("seen by both", "low", "pictures in which both judges see the concept"),
    "seen_by_either": Metric("seen by either", "low", "pictures in which at least one does"),
    "fid": Metric("FID", "low", "Fréchet distance of features to a reference", percent=False),
    "kid": Metric("KID", "low", "kernel distance of features, × 1000", percent=False),
    "distance_e": Metric(
        "distance (erased)", "high", "distance to the original at equal seeds", percent=False
    ),
    "distance_s": Metric(
        "distance (kept)", "low", "distance to the original at equal seeds", percent=False
    ),
    "same_face_e": Metric("same face (erased)", "low", "faces that match the original model's"),
    "same_face_s": Metric("same face (kept)", "high", "faces that match the original model's"),
}
