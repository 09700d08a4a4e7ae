"""Conjugate gradients, one product at a time."""

import numpy as np
import pytest

from pyimagesearch.linear.solver import conjugategradients
from pyimagesearch.linear.solver.conjugategradients import System

SCALES = np.linspace(1, 100, 50)


def solved(system):
    while system.unsolved:
        system.advance(SCALES * system.direction)
    return system.step, system.n_products


def test_a_system_is_solved_until_half_the_square_of_its_residual_is_below_the_goal():
    step, n_products = solved(System(-np.ones((1, 50)), np.copy, 1e-6))
    assert np.square(SCALES * step - 1).sum() / 2 < 1e-6
    rough, n_rough = solved(System(-np.ones((1, 50)), np.copy, 1e-2))
    assert 1e-6 < np.square(SCALES * rough - 1).sum() / 2 < 1e-2
    assert n_rough < 0.7 * n_products


def test_a_step_that_is_far_is_taken_as_soon_as_its_model_hardly_falls():
    step, n_products = solved(System(-np.ones((1, 50)), np.copy, 1e-6))
    on_the_way, n_on_the_way = solved(System(-np.ones((1, 50)), np.copy, 1e-6, far=0.0))
    assert 2 < n_on_the_way < 0.7 * n_products

    def model(step):
        return np.vdot(step, SCALES * step) / 2 - step.sum()

    assert model(on_the_way) < 0.9 * model(step)
    never, n_never = solved(System(-np.ones((1, 50)), np.copy, 1e-6, far=-model(step)))
    assert n_never == n_products
    np.testing.assert_array_equal(never, step)


def test_with_the_inverse_one_product_solves_a_system():
    step, n_products = solved(System(-np.ones((1, 50)), lambda r: r / SCALES, 1e-12))
    assert n_products == 1
    np.testing.assert_allclose(step, 1 / SCALES[None])


def test_the_residual_never_rises(monkeypatch):
    gradient, squares = -np.sin(np.arange(50.0))[None] * SCALES**2, []
    for most in range(1, 30):
        monkeypatch.setattr(conjugategradients, "MAX_PRODUCTS", most)
        step, n_products = solved(System(gradient, np.copy, 0.0))
        assert n_products == most
        squares.append(np.square(SCALES * step + gradient).sum())
    assert (np.diff(squares) < 0).all()


@pytest.mark.parametrize("gradient", [0.0, np.nan])
def test_where_there_is_no_direction_nothing_is_asked_for(gradient):
    system = System(np.full((1, 50), gradient), np.copy, 0.0)
    assert not system.unsolved
    np.testing.assert_array_equal(system.step, np.zeros((1, 50)))


def test_a_direction_without_curvature_ends_it():
    system = System(-np.ones((1, 50)), np.copy, 0.0)
    system.advance(np.zeros((1, 50)))
    assert not system.unsolved
    np.testing.assert_array_equal(system.step, np.zeros((1, 50)))
