"""``render``: the manifests that ``push`` would apply, for a GitOps controller that applies them itself."""

import sys
from pathlib import Path

import click
import yaml

from voice_cli.commands.options import Session, command, datasets_option
from voice_cli.commands.root import voice
from voice_cli.dataset import dataset_of, folder_uri, upload
from voice_cli.errors import FolderRefused, FoldersRefused
from voice_cli.git import Origin, Repository
from voice_cli.push import manifest_for
from voice_cli.voice_folder import read_folder


@command(voice, "render", cluster=False)
@click.argument("folders", type=click.Path(file_okay=False, path_type=Path), nargs=-1, required=True)
@click.option("-n", "--namespace", required=True, metavar="NAME", help="Namespace of the voices.")
@datasets_option()
@click.option("--upload", "send", is_flag=True, help="Put the recordings there that are not yet.")
@click.option(
    "--requested-by",
    metavar="USER",
    help="Who applies the manifests, as the API server knows them; reviews with separation need it.",
)
def render(
    session: Session, *, folders: tuple[Path, ...], namespace: str, datasets: str, send: bool, requested_by: str | None
) -> None:
    """Print the VoiceModels of folders, with digest, commit and author, for Argo CD or Flux to apply.

    Asks no cluster. The same folders and commits give the same text.
    """
    documents, problems = [], []
    for path in sorted(folders):
        try:
            folder = read_folder(path)
        except FolderRefused as error:
            problems.append(error)
            continue
        repository = Repository.around(path)
        origin = Origin() if repository is None else repository.origin_of(path)
        dataset = dataset_of(path, folder.files)
        uri = folder_uri(datasets, namespace, folder.name, dataset.digest)
        if send:
            done = upload(dataset, uri)
            session.output.note(f"{folder.name}: {done.sent} files sent, {done.skipped} were there")
        documents.append(manifest_for(folder, namespace, {"uri": uri, "digest": dataset.digest}, origin, requested_by))
    if problems:
        raise FoldersRefused(problems)
    sys.stdout.write(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True))
