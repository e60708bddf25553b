-- Of visits `v` that wait.
v.priority DESC, v.arrived_us, v.id
