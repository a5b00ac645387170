"""S1 and S2 side by side: the module that one adapter spans."""

from torch import nn

from sovits_core.models import Synthesizer, TextToSemantic


class Networks(nn.Module):
    """Both stages of one base; an adapter's keys begin with `s1.` and `s2.`."""

    def __init__(self, s1: TextToSemantic, s2: Synthesizer) -> None:
        super().__init__()
        self.s1 = s1
        self.s2 = s2
