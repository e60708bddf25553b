// The right panel: who the customer is, notes of colleagues, earlier visits. Before it the desk's state, after it nothing.

