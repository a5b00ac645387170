"""The operator: watches VoiceModels, decides, acts; it never trains and never synthesizes."""

__version__ = "0.1.0"
