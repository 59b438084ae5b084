"""One small scene written in every layout that is read."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from aceg_ros.geometry.cameras import Camera
from aceg_ros.geometry.poses import compose, inverse, make_pose, pose_to_tum, so3_exp, so3_log

# Its principal point is the middle, where layouts without one have it.
CAMERA = Camera.pinhole(64, 48, 60.0, 60.0, 31.5, 23.5)
POSES = np.array(
    [make_pose(so3_exp([0.3, 0.1 * i, 0.02 * i]), [0.2 * i, 0.01 * i, -0.1]) for i in range(5)]
)
BODY_FROM_CAM = make_pose(so3_exp([0.3, -1.2, 0.5]), [0.1, -0.02, 0.03])
GL_FROM_CV = np.diag([1.0, -1.0, -1.0, 1.0])
# Of the first image (s), and between images.
START, INTERVAL = 100.0, 0.05

PINHOLE_YAML = 'width: 64\nheight: 48\nfx: 60.0\nfy: 60.0\ncx: 31.5\ncy: 23.5\n'


def picture(index: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """RGB (H, W, 3), smooth, so that lossy coders keep it; its mean grows with `index`."""
    width, height = size
    ramp = np.linspace(0.0, 60.0, width)[None, :] + np.linspace(0.0, 60.0, height)[:, None]
    return np.repeat((ramp + 20.0 * index)[:, :, None], 3, axis=2).astype(np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')
    return path


def rows(matrix: np.ndarray) -> str:
    return '\n'.join(' '.join(f'{value:.12g}' for value in row) for row in matrix) + '\n'


def depth() -> np.ndarray:
    return np.full((12, 16), 2000, np.uint16)


def stamps() -> list[float]:
    return [START + INTERVAL * index for index in range(len(POSES))]


def tum_lines(poses: np.ndarray = POSES) -> str:
    lines = [
        ' '.join(f'{value:.12g}' for value in [stamp, *pose_to_tum(pose)])
        for stamp, pose in zip(stamps(), poses, strict=True)
    ]
    return '\n'.join(lines) + '\n'


def plain(root: Path) -> Path:
    for index, stamp in enumerate(stamps()):
        save(root / f'images/{stamp:.6f}.png', picture(index))
    write(root / 'poses.txt', tum_lines())
    write(root / 'calibration.yaml', PINHOLE_YAML)
    return root


def tum(root: Path) -> Path:
    names = [(stamp, f'rgb/{index}.png') for index, stamp in enumerate(stamps())]
    for index, (_, name) in enumerate(names):
        save(root / name, picture(index))
    write(root / 'rgb.txt', '\n'.join(f'{stamp:.6f} {name}' for stamp, name in names))
    write(root / 'groundtruth.txt', tum_lines())
    write(root / 'calibration.yaml', PINHOLE_YAML)
    return root


def seven_scenes(root: Path) -> Path:
    for index, pose in enumerate(POSES):
        save(root / f'seq-01/frame-{index:06d}.color.png', picture(index))
        write(root / f'seq-01/frame-{index:06d}.pose.txt', rows(pose))
    write(root / 'calibration.yaml', PINHOLE_YAML)
    write(root / 'TrainSplit.txt', 'sequence1\n')
    return root


def _asl(root: Path, truth: str) -> Path:
    mav0 = root / 'mav0'
    listed, poses = ['#timestamp [ns],filename'], ['#timestamp,p_x,p_y,p_z,q_w,q_x,q_y,q_z']
    for index, (stamp, pose) in enumerate(zip(stamps(), POSES, strict=True)):
        nanoseconds = round(stamp * 1e9)
        save(mav0 / f'cam0/data/{nanoseconds}.png', picture(index))
        listed.append(f'{nanoseconds},{nanoseconds}.png')
        x, y, z, qx, qy, qz, qw = pose_to_tum(compose(pose, inverse(BODY_FROM_CAM)))
        poses.append(f'{nanoseconds},{x},{y},{z},{qw},{qx},{qy},{qz}')
    write(mav0 / 'cam0/data.csv', '\n'.join(listed))
    write(mav0 / truth, '\n'.join(poses))
    return mav0


def euroc(root: Path) -> Path:
    mav0 = _asl(root, 'state_groundtruth_estimate0/data.csv')
    write(
        mav0 / 'cam0/sensor.yaml',
        f'T_BS:\n  cols: 4\n  rows: 4\n  data: {BODY_FROM_CAM.ravel().tolist()}\n'
        'resolution: [64, 48]\nintrinsics: [60.0, 60.0, 31.5, 23.5]\n'
        'distortion_model: radial-tangential\ndistortion_coefficients: [0.0, 0.0, 0.0, 0.0]\n',
    )
    return root


def tum_vi(root: Path) -> Path:
    _asl(root, 'mocap0/data.csv')
    chain = {
        'cam0': {
            'T_cam_imu': inverse(BODY_FROM_CAM).tolist(),
            'camera_model': 'pinhole',
            'distortion_model': 'equidistant',
            'distortion_coeffs': [0.0, 0.0, 0.0, 0.0],
            'intrinsics': [60.0, 60.0, 31.5, 23.5],
            'resolution': [64, 48],
            'cam_overlaps': [1],
            'timeshift_cam_imu': 0.0,
            'rostopic': '/cam0/image_raw',
        }
    }
    write(root / 'dso/camchain.yaml', json.dumps(chain))
    return root


def nerf(root: Path) -> Path:
    frames = []
    for index, pose in enumerate(POSES):
        save(root / f'images/{index}.png', picture(index))
        matrix = (pose @ GL_FROM_CV).tolist()
        frames.append({'file_path': f'images/{index}.png', 'transform_matrix': matrix})
    values = {'w': 64, 'h': 48, 'fl_x': 60.0, 'fl_y': 60.0, 'cx': 32.0, 'cy': 24.0}
    write(root / 'transforms.json', json.dumps({**values, 'frames': frames}))
    return root


def _colmap_poses() -> list[tuple[np.ndarray, np.ndarray]]:
    """cam_from_world, rotation with w first and translation."""
    found = []
    for pose in POSES:
        tx, ty, tz, qx, qy, qz, qw = pose_to_tum(inverse(pose))
        found.append((np.array([qw, qx, qy, qz]), np.array([tx, ty, tz])))
    return found


def colmap_text(root: Path) -> Path:
    lines = []
    for index, (turn, shift) in enumerate(_colmap_poses()):
        save(root / f'images/{index}.png', picture(index))
        numbers = ' '.join(f'{value:.12g}' for value in [*turn, *shift])
        lines += [f'{index + 1} {numbers} 1 {index}.png', '1.0 2.0 -1']
    write(root / 'sparse/0/cameras.txt', '# cameras\n1 PINHOLE 64 48 60 60 32 24\n')
    write(root / 'sparse/0/images.txt', '\n'.join(lines) + '\n')
    write(root / 'sparse/0/points3D.txt', '')
    return root


def colmap_binary(root: Path) -> Path:
    data = struct.pack('<Q', len(POSES))
    for index, (turn, shift) in enumerate(_colmap_poses()):
        save(root / f'images/{index}.png', picture(index))
        data += struct.pack('<i7di', index + 1, *turn, *shift, 1)
        data += f'{index}.png'.encode() + b'\0' + struct.pack('<Qddq', 1, 1.0, 2.0, -1)
    (root / 'sparse/0').mkdir(parents=True)
    cameras = struct.pack('<QiiQQ4d', 1, 1, 1, 64, 48, 60.0, 60.0, 32.0, 24.0)
    (root / 'sparse/0/cameras.bin').write_bytes(cameras)
    (root / 'sparse/0/images.bin').write_bytes(data)
    (root / 'sparse/0/points3D.bin').write_bytes(struct.pack('<Q', 0))
    return root


def ace(root: Path) -> Path:
    for index, pose in enumerate(POSES):
        split = root / ('train' if index < 3 else 'test')
        save(split / f'rgb/{index:04d}.color.png', picture(index))
        write(split / f'poses/{index:04d}.pose.txt', rows(pose))
        write(split / f'calibration/{index:04d}.calibration.txt', '60.0\n')
    return root


def scannet(root: Path) -> Path:
    for index, pose in enumerate(POSES):
        save(root / f'color/{5 * index}.png', picture(index))
        save(root / f'depth/{5 * index}.png', depth())
        write(root / f'pose/{5 * index}.txt', rows(pose))
    K = np.eye(4)
    K[:3, :3] = CAMERA.K
    write(root / 'intrinsic/intrinsic_color.txt', rows(K))
    K[:3, :3] = CAMERA.scaled(16, 12).K
    write(root / 'intrinsic/intrinsic_depth.txt', rows(K))
    return root


def replica(root: Path) -> Path:
    for index in range(len(POSES)):
        save(root / f'results/frame{index:06d}.png', picture(index))
        save(root / f'results/depth{index:06d}.png', np.full((48, 64), 13107, np.uint16))
    write(root / 'traj.txt', '\n'.join(' '.join(map(str, pose.ravel())) for pose in POSES))
    values = {'w': 64, 'h': 48, 'fx': 60.0, 'fy': 60.0, 'cx': 31.5, 'cy': 23.5, 'scale': 6553.5}
    write(root / 'cam_params.json', json.dumps({'camera': values}))
    return root


def arkitscenes(root: Path) -> Path:
    frames = root / f'{root.name}_frames'
    lines = []
    for index, (stamp, pose) in enumerate(zip(stamps(), POSES, strict=True)):
        name = f'{root.name}_{stamp:.3f}'
        save(frames / f'lowres_wide/{name}.png', picture(index))
        save(frames / f'lowres_depth/{name}.png', np.full((48, 64), 2000, np.uint16))
        write(frames / f'lowres_wide_intrinsics/{name}.pincam', '64 48 60 60 31.5 23.5')
        cam_from_world = inverse(pose)
        numbers = [*so3_log(cam_from_world[:3, :3]), *cam_from_world[:3, 3]]
        lines.append(' '.join(f'{value:.12g}' for value in [stamp, *numbers]))
    write(frames / 'lowres_wide.traj', '\n'.join(lines) + '\n')
    return root


def polycam(root: Path) -> Path:
    for index, (stamp, pose) in enumerate(zip(stamps(), POSES, strict=True)):
        name = str(round(stamp * 1e6))
        values = {'width': 64, 'height': 48, 'fx': 60.0, 'fy': 60.0, 'cx': 31.5, 'cy': 23.5}
        matrix = pose @ GL_FROM_CV
        values |= {f't_{i}{j}': matrix[i, j] for i in range(3) for j in range(4)}
        values |= {'blur_score': 100.0, 'timestamp': int(name)}
        save(root / f'keyframes/corrected_images/{name}.png', picture(index))
        save(root / f'keyframes/depth/{name}.png', depth())
        write(root / f'keyframes/corrected_cameras/{name}.json', json.dumps(values))
    return root


def record3d(root: Path) -> Path:
    poses = []
    for index, pose in enumerate(POSES):
        save(root / f'rgb/{index}.png', picture(index))
        tx, ty, tz, *turn = pose_to_tum(pose @ GL_FROM_CV)
        poses.append([*turn, tx, ty, tz])
    values = {
        'w': 64,
        'h': 48,
        'fps': 20,
        'K': CAMERA.K.T.ravel().tolist(),
        'poses': poses,
        'frameTimestamps': stamps(),
    }
    write(root / 'metadata.json', json.dumps(values))
    return root


def stray_scanner(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    video = cv2.VideoWriter(str(root / 'rgb.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 20.0, (64, 48))
    lines = ['timestamp, frame, x, y, z, qx, qy, qz, qw']
    for index, (stamp, pose) in enumerate(zip(stamps(), POSES, strict=True)):
        video.write(picture(index)[:, :, ::-1])
        save(root / f'depth/{index:06d}.png', depth())
        numbers = ', '.join(f'{value:.12g}' for value in pose_to_tum(pose))
        lines.append(f'{stamp}, {index:06d}, {numbers}')
    video.release()
    write(root / 'odometry.csv', '\n'.join(lines) + '\n')
    write(root / 'camera_matrix.csv', '60.0, 0.0, 31.5\n0.0, 60.0, 23.5\n0.0, 0.0, 1.0\n')
    return root


def rig_recording(root: Path) -> Path:
    plain(root / 'front.image_raw')
    text = 'cameras: [{images: front.image_raw}, {images: rear.image_raw}]'
    write(root / 'rig.yaml', text)  # nothing was recorded of the rear camera yet
    return root


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    'plain folder': plain,
    'recording of a rig': rig_recording,
    'TUM RGB-D': tum,
    '7-Scenes': seven_scenes,
    'EuRoC': euroc,
    'TUM-VI': tum_vi,
    'NeRF': nerf,
    'COLMAP, text': colmap_text,
    'COLMAP, binary': colmap_binary,
    'ACE': ace,
    'ScanNet': scannet,
    'Replica': replica,
    'ARKitScenes': arkitscenes,
    'Polycam': polycam,
    'Record3D': record3d,
    'Stray Scanner': stray_scanner,
}
