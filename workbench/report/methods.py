"""How the figures of a report are made, one paragraph each, with the source."""

METHODS = (
    ("Verdict and prediction",
     "Operational analysis (P. Denning, J. Buzen, “The Operational Analysis of Queueing Network Models”, ACM "
     "Computing Surveys 10(3), 1978). Every process counts the time of each activity and the tokens it handles. "
     "Busy time ÷ tokens is a stage's service demand D; N servers allow at most N/D tokens per second (utilisation "
     "law, asymptotic bounds). All stages share the CPU cores, so throughput is also at most free cores ÷ CPU "
     "seconds per token. The smallest bound names the binding resource. A change alters demands or servers; the "
     "bounds are worked out anew, and today's ratio of measured to expected throughput is kept. The same bounds are "
     "used for input pipelines by tf.data and Plumber (M. Kuchnik et al., MLSys 2022)."),
    ("Work, waiting for a core, waiting for a disk",
     "Each activity is timed on the wall clock and on the process's CPU clock. Slicing, tokenising and packing never "
     "wait for a disk: what they take longer than their CPU time was spent waiting for a core. The same ratio is taken "
     "off reading and writing; what then remains was spent waiting for the disk."),
    ("Fixed cost of a batch",
     "Least squares over all batches of the steady part: seconds of a batch = a + b · padded tokens. The share of a "
     "says how much larger batches would gain."),
    ("GPU figures",
     "“Kernels running” is NVML's utilisation: the share of the time in which at least one kernel ran. A card can "
     "show 100 % and do little. Model FLOP utilisation (MFU; A. Chowdhery et al., “PaLM”, 2022, appendix B) is the "
     "model's floating point operations per second ÷ the rate of matrix products measured on the same device in the "
     "same number format, at the model's own shapes (for large models at common ones); it is the height under the "
     "flat part of the roofline (S. Williams et al., CACM 52(4), 2009). Padding share is the part of the computed "
     "tokens that carries no text. What a driver does not tell is shown as n/a, never as 0."),
    ("Remote end",
     "With the remote engine up to encoder.requests requests are under way at once. Their time ÷ that number is the "
     "device time: by the utilisation law it fills the whole time exactly when as many as allowed are always under "
     "way, and only then is the server the limit. The very first request has the server to itself; if requests among "
     "others take no longer than that, more at once are predicted to help, else the server itself is busy."),
    ("Steady part",
     "From half a second after the first batch until the first worker runs out of input; pauses are cut out. "
     "Confidence is the agreement of up to six windows of it, less half the spread of their rates."),
)
