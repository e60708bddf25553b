"""All policies by their names, as ALLOCATION_POLICY has them. A new one is a module here and a line in the table."""

from policies import fill_two, least_loaded, longest_idle, round_robin, upstream

POLICIES = {
    policy.name: policy
    for policy in (
        least_loaded.POLICY,
        upstream.POLICY,
        fill_two.POLICY,
        round_robin.POLICY,
        longest_idle.POLICY,
    )
}
