// The distribution of reaches that a head learns, its tail, and the way back to its logits.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "attention/degrees/reaches.h"

// A head holds logits theta over the K reaches of a grid. All functions are pure, in double, and
// throw ShapeError for sizes that do not fit. The parameters and the tail are our own formulation;
// that degrees are learned is the idea of arXiv 2210.03841.
namespace filigree {

/// p_k = exp(theta_k) / sum_i exp(theta_i): the probability that a token has reach r_k. Throws
/// NumericError unless all logits are finite. Cost O(K).
std::vector<double> reach_probabilities(std::span<const double> logits);

/// Throws ShapeError for no probability, NumericError unless all are >= 0 and sum to 1 within 1e-5
/// (what is left of single precision). Cost O(K).
void expect_probabilities(std::string_view where, std::span<const double> p);

/// The tail g(d) = sum_{k: r_k >= d} p_k, d = 0 .. R: the probability that a token sees a token at
/// distance d. g(0) = 1, never increasing, never above 1. Summed from R down, so that small tails
/// keep all their digits. Cost O(K + R).
std::vector<double> reach_tail(std::span<const double> p, const Reaches& reaches);

/// E[reach] = sum_k r_k p_k, in tokens. Cost O(K).
double mean_reach(std::span<const double> p, const Reaches& reaches);
/// The same from the tail: sum_{d >= 1} g(d). Cost O(R).
double mean_reach(std::span<const double> g);

/// H(p) = - sum_k p_k ln p_k, in nats. Cost O(K).
double entropy(std::span<const double> p);

// The chain rule back: dL/dg -> dL/dp -> dL/dtheta.

/// From dL/dg(d), d = 0 .. R, the derivatives C_k = dL/dp_k = sum_{1 <= d <= r_k} dL/dg(d): prefix
/// sums, since p_k is part of every g(d) with d <= r_k. g(0) is 1 whatever p is, and dL/dg(0) is
/// not looked at. Cost O(K + R).
std::vector<double> probability_gradient(std::span<const double> tail_gradient,
                                         const Reaches& reaches);

/// From C_k = dL/dp_k of a softmax p its logits' dL/dtheta_k = p_k (C_k - sum_i p_i C_i). These sum
/// to 0, and a constant in C is without effect. Cost O(K).
std::vector<double> logit_gradient(std::span<const double> p,
                                   std::span<const double> probability_gradient);

/// dH/dtheta_k = - p_k (ln p_k + H); 0 where p_k is 0. Cost O(K).
std::vector<double> entropy_gradient(std::span<const double> p);

}  // namespace filigree
