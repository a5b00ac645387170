"""The commands of ``kubectl voice``, a file for each thing that people come to do."""
