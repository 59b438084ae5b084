"""Map a folder of posed images, and say how good the map found itself.

python examples/map_folder.py recordings/kitchen kitchen.aceg
"""

import sys

import aceg_ros as aceg


def main(folder: str, output: str) -> None:
    dataset = aceg.open_dataset(folder)
    print(f'{len(dataset)} images in {dataset.name}')
    monitor = aceg.Monitor(lambda stage, part, detail: print(f'{stage} {part:.0%}', end='\r'))
    result = aceg.map_dataset(dataset, monitor=monitor)
    size = aceg.save_map(output, result.code)
    quality = result.code.info.quality
    print(
        f'{output}: {size / 1e6:.2f} MB in {result.seconds:.0f} s, quality {quality.rating.value}'
    )
    print(f'more views: {quality.advice}')


if __name__ == '__main__':
    main(*sys.argv[1:3])
