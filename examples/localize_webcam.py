"""Localize a webcam, or a video file, in a map, until Ctrl-C or the end of the video.

python examples/localize_webcam.py kitchen.aceg camera.yaml [0 or video.mp4]
"""

import sys

import cv2

import aceg_ros as aceg


def main(path: str, camera_file: str, source: str = '0') -> None:
    localizer = aceg.Localizer.open(path)
    camera = aceg.read_camera(camera_file)
    video = cv2.VideoCapture(int(source) if source.isdigit() else source)
    last_pose = None
    while True:
        there_is_one, image = video.read()
        if not there_is_one:
            break
        answer = localizer.localize(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), camera, last_pose)
        if answer:
            last_pose = answer.world_from_cam
            x, y, z = last_pose[:3, 3]
            std = answer.covariance.diagonal()[:3].max() ** 0.5
            print(f'x {x:.2f} y {y:.2f} z {z:.2f}, standard deviation {std:.3f}')
        else:
            last_pose = None
            print(f'no pose ({answer.reason}): {answer.message}')


if __name__ == '__main__':
    main(*sys.argv[1:4])
