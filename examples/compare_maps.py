"""Compare two maps of one place on images whose poses are known.

python examples/compare_maps.py old.aceg new.aceg recordings/kitchen_later
"""

import sys

import aceg_ros as aceg


def main(first: str, second: str, folder: str) -> None:
    frames = aceg.open_dataset(folder).frames
    print(f'{"map":>24} {"localized":>10} {"within 10 cm":>13} {"median cm":>10}')
    for path in (first, second):
        figures = aceg.evaluate(aceg.Localizer.open(path), frames).summary()
        recall, median = figures['recall_10cm_5deg'], figures['median_cm']
        error = '-' if median is None else f'{median:.1f}'
        print(f'{path:>24} {figures["localized"]:>10} {recall:>13.0%} {error:>10}')


if __name__ == '__main__':
    main(*sys.argv[1:4])
