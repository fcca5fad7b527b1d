"""Names of the files in asrkd's folders: models, stores, quantizers, scores, and prepared corpora."""

STAMP = "stamp.json"  # last file of every folder: it is complete
COMMAND = "command.json"  # the command that made the folder

WEIGHTS = "model.safetensors"  # weights of a model
MODEL_CONFIG = "config.json"
LINEAGE = "lineage.json"  # data, stores and versions that the model was trained with
METRICS = "metrics.jsonl"
DIVERGED = "diverged.json"  # of a run of a sweep: why it ended
RUN_RECORD = "record.json"  # run record that a model folder without weights was restored from

CONTRACT = "contract.json"  # contract of a store or quantizer: all that decides its contents
PROVENANCE = "sources.json"  # paths of the inputs of a store
QUANTIZER_WEIGHTS = "quantizer.safetensors"
QUANTIZER_DESCRIPTION = "quantizer.json"

SCORE = "score.json"
SCORE_REQUEST = "request.json"  # model, cuts, references, search, and rules of a score
UTTERANCES = "utterances.jsonl"  # counts of each utterance of a score

EXPORT_REQUEST = "export.json"  # model and options of an export
SHERPA_CALL = "sherpa.json"  # how sherpa-onnx is called on an export

PREPARED = "prepare.json"  # settings of a prepared corpus
QUARANTINE = "quarantine.jsonl"  # items that were set aside, with their causes

SWEEP_SETTINGS = "settings.json"  # settings that the runs of a sweep have in common
BEST_CONFIG = "best.yaml"  # config of the chosen setting of a sweep
SWEEP = "sweep.json"  # runs of a sweep, and the chosen setting
