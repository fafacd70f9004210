"""Cygnet: runs, images, clusters and data of an experiment. Start with `cygnet.open("demo")`."""
from .configuration import Configuration, load
from .errors import CygnetError
from .experiment import Experiment, Run
from .rows import Rows

__all__ = ["Configuration", "CygnetError", "Experiment", "Rows", "Run", "open"]
__version__ = "0.1.0"


def open(experiment=None, config=None):  # noqa: A001 - the name people expect
    """The experiment, as the person whose session, job or profile this is.

    Inside a session or a job nothing needs to be said. `config` is the path of a profile; see the README for the
    places that are looked at. Raises CygnetError `client.no_profile`, `client.no_experiment`.
    """
    configuration = load(config)
    name = experiment or configuration.experiment
    if not name:
        raise CygnetError(
            "client.no_experiment",
            "No experiment was named.",
            hint='Say which one: cygnet.open("demo").',
        )
    return Experiment(configuration, name)
