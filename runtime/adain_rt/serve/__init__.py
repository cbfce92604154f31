"""HTTP: the page, the API, the Open Inference Protocol, and what keeps a server safe and observable."""
