"""What the row sums cost on images: the same restorations with the whole matrix.

TMPD by row sums is the form for large images. Where it does worse than another method,
the control is TMPD with the whole H C H^T, which conjugate gradients solve with a few
products per step. No more than a few: the matrix of a learned network has eigenvalues
that are not positive, and after about five iterations the solution runs off in their
directions. On digits three iterations restore like the full matrix, whose eigenvalues
are mended.
"""

import torch

from src.common.diffusion.denoising import network_score
from src.common.diffusion.samplers import ancestral, time_grid
from src.common.images.models import load_image_classifier
from src.common.images.sets import image_set
from src.inverse_problems.tmpd.image_experiments import (
    SAMPLES,
    ImagePrior,
    Restoration,
    degradation,
    judge,
    observe,
    varying_pixels,
)
from src.inverse_problems.tmpd.tweedie import tmpd


def restore_by_gradients(
    prior: ImagePrior,
    classifier: str,
    setting: Restoration,
    seed: int,
    iterations: int = 3,
    device: str = "cpu",
) -> dict[str, list[float]]:
    """Restore and judge as `restore_images` does, by TMPD with conjugate gradients.

    Observations, first states and noise are those of `restore_images` with the same
    seed.

    Args:
        prior: what images look like.
        classifier: packed weights of the classifier in whose features distances are
            taken.
        setting: task, noise, steps and images.
        seed: of the observations and of the sampler.
        iterations: of conjugate gradients, one product with J^T each.
        device: of the networks and images.

    Returns:
        What `judge` returns: measure -> one number per image.

    Raises:
        ValueError: from `degradation`, for an unknown task.
        BookError: if the files of the data set cannot be had.
    """
    recipe, process = prior.recipe, prior.process
    found = image_set(recipe.data)
    truth = setting.truth(found).to(device)
    operator = degradation(setting.task, tuple(truth.shape[1:])).to(truth)
    y = observe(truth, operator, setting.sigma, seed).repeat_interleave(SAMPLES, 0)
    generator = torch.Generator(device=y.device).manual_seed(seed + 1)
    state = process.start((len(y), *truth.shape[1:]), generator, dtype=y.dtype)
    score = network_score(prior.network(device), process)
    guided = tmpd(
        score, process, operator, y, setting.sigma, "cg", iterations=iterations
    )
    drawn = ancestral(process, guided, state, time_grid(setting.steps), generator)
    judge_by = load_image_classifier(
        recipe.shape, found.number_of_classes, classifier, device
    )
    samples = drawn.unflatten(0, (len(truth), SAMPLES))
    return judge(samples, truth, judge_by, varying_pixels(found).to(device))
